// In its place stands what bundling takes out of the parts of the first load: see `scripts/first.mjs`.

export default [] as readonly Record<string, never>[];
