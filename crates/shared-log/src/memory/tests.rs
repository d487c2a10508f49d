//! Random schedules of the engine in memory.
