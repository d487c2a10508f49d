// How the protocol's own suite is run: see ../durable_streams.test.mjs.

export default {
  test: {
    root: import.meta.dirname,
    include: ['suite.mjs'],
    testTimeout: 60_000,
    // It sleeps between requests and counts on how long that is: a machine that is busy gets it wrong.
    retry: 3,
  },
};
