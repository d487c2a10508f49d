//! What is done inside of the server, as scripts: each as a whole, with nothing of others between.
//!
//! Three keys have one hash tag, so that one server has them all. The stream has each batch under the
//! id `position-0`; the registers are a hash of generations and values; `meta` says that the three are
//! ours and when they were made, and counts. Positions are without holes, so that a hole that is seen
//! is a loss. Generations are no less than the server's clock, so that what a restored copy counts
//! again is not what it has counted before.

/// How many registers there may be: with their largest values a quarter of a GiB.
const REGISTERS_MAX: usize = 4096;

/// How many batches a call trims, for so long nobody else is served: a few milliseconds.
const TRIMMED_MAX: usize = 4096;

/// What is done on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    /// Appends a batch: its bytes, the name of its fence's register or nothing, its generation.
    Append,
    /// Where the log begins and ends.
    Span,
    /// The batch at a position.
    Entry,
    /// Generation and value of a register.
    Register,
    /// Sets a register: its name, the generation that is expected, its value.
    Set,
    /// The names of registers that begin so.
    Names,
    /// Trims up to a position, or a part of the way: says whether there is more.
    Trim,
}

/// The codes of errors that the scripts give, beside `BELLWIREANEW`: that the log is not the one that
/// the caller knows, which is a doubt as others are.
pub(super) mod code {
    /// The fence does not hold.
    pub(in super::super) const FENCED: &str = "BELLWIREFENCED";
    /// A key has something of others.
    pub(in super::super) const FOREIGN: &str = "BELLWIREFOREIGN";
    /// There are too many registers.
    pub(in super::super) const FULL: &str = "BELLWIREFULL";
}

const KEYS: &str = "
local log, registers, meta = KEYS[1], KEYS[2], KEYS[3]
local function text(number) return string.format('%.0f', number) end
local function milliseconds(id) return tonumber(string.match(id, '^%d+')) end
local function fail(code, key, why) return redis.error_reply(code .. ' ' .. key .. ' ' .. why) end
local function leads()
  return string.find(redis.call('INFO', 'replication'), 'role:master', 1, true)
end
local function replica() return redis.error_reply('READONLY the server is a replica') end
local function kind(key) return redis.call('TYPE', key).ok end
local function span()
  local known = redis.call('HMGET', meta, 'tail', 'trimmed')
  local tail, trimmed = tonumber(known[1]), tonumber(known[2])
  if kind(log) == 'none' then return tail, tail end
  local told, stream = redis.call('XINFO', 'STREAM', log), {}
  for i = 1, #told, 2 do stream[told[i]] = told[i + 1] end
  local last, first = milliseconds(stream['last-generated-id']), tail + 1
  if stream['first-entry'] then first = milliseconds(stream['first-entry'][1]) end
  if last < tail then trimmed = tail end
  local deleted = milliseconds(stream['max-deleted-entry-id'])
  return math.max(trimmed, first - 1, deleted), math.max(tail, last), last > tail
end
";

const SAME: &str = "
if redis.call('HGET', meta, 'made') ~= ARGV[1] then
  return fail('BELLWIREANEW', meta, 'is not the log that was there before')
end
";

const LEADS: &str = "
if not leads() then return replica() end
";

/// Makes the keys where none is there, and refuses those that are not ours. Returns when they were made.
pub(super) const PREPARE: &str = "
if not leads() then return replica() end
local is, foreign = kind(meta), 'belongs to something else'
local function make()
  redis.call('XGROUP', 'CREATE', log, 'bellwire', '$', 'MKSTREAM')
  redis.call('XGROUP', 'DESTROY', log, 'bellwire')
end
if kind(log) ~= 'none' and kind(log) ~= 'stream' then return fail('BELLWIREFOREIGN', log, foreign) end
if kind(registers) ~= 'none' and kind(registers) ~= 'hash' then
  return fail('BELLWIREFOREIGN', registers, foreign)
end
if is == 'none' then
  if kind(log) ~= 'none' then return fail('BELLWIREFOREIGN', log, foreign) end
  if kind(registers) ~= 'none' then return fail('BELLWIREFOREIGN', registers, foreign) end
  local time = redis.call('TIME')
  local made = time[1] .. '.' .. time[2]
  make()
  redis.call('HSET', meta, 'is', 'bellwire', 'format', '1', 'made', made,
    'tail', '0', 'trimmed', '0', 'generation', '0')
  return made
end
if is ~= 'hash' or redis.call('HGET', meta, 'is') ~= 'bellwire' then
  return fail('BELLWIREFOREIGN', meta, foreign)
end
local known = redis.call('HMGET', meta, 'format', 'made', 'tail')
if known[1] ~= '1' then return fail('BELLWIREFOREIGN', meta, 'is of a newer Bellwire') end
if kind(log) == 'none' then
  make()
  redis.call('HSET', meta, 'trimmed', known[3])
end
local _, _, others = span()
if others then return fail('BELLWIREFOREIGN', log, 'has entries of something else') end
return known[2]
";

const APPEND: &str = "
if ARGV[3] ~= '' then
  local generation = redis.call('HGET', registers, 'generation:' .. ARGV[3]) or '0'
  if generation ~= ARGV[4] then return fail('BELLWIREFENCED', ARGV[3], 'was set meanwhile') end
end
local position = tonumber(redis.call('HGET', meta, 'tail')) + 1
local added = redis.pcall('XADD', log, 'NOMKSTREAM', text(position) .. '-0', 'b', ARGV[2])
if not added then return fail('BELLWIREANEW', log, 'is gone') end
if added.err then
  if not string.find(added.err, 'equal or smaller', 1, true) then return added end
  return fail('BELLWIREFOREIGN', log, 'has entries of something else')
end
redis.call('HSET', meta, 'tail', text(position))
return position
";

const SPAN: &str = "
local trimmed, tail, others = span()
if others then return fail('BELLWIREFOREIGN', log, 'has entries of something else') end
return {trimmed, tail}
";

const ENTRY: &str = "
local found = redis.call('XRANGE', log, ARGV[2] .. '-0', ARGV[2] .. '-0')[1]
return found and found[2][2]
";

const REGISTER: &str = "
return redis.call('HMGET', registers, 'generation:' .. ARGV[2], 'value:' .. ARGV[2])
";

const SET: &str = "
local name, value = 'generation:' .. ARGV[2], 'value:' .. ARGV[2]
local is = redis.call('HGET', registers, name)
if (is or '0') ~= ARGV[3] then return {0, is, redis.call('HGET', registers, value)} end
if not is and redis.call('HLEN', registers) >= 2 * REGISTERS_MAX then
  return fail('BELLWIREFULL', registers, 'has as many registers as it may')
end
local time = redis.call('TIME')
local generation = math.max(tonumber(redis.call('HGET', meta, 'generation')) + 1,
  time[1] * 1000000 + time[2])
redis.call('HSET', meta, 'generation', text(generation))
redis.call('HSET', registers, name, text(generation), value, ARGV[4])
return {1, text(generation)}
";

const NAMES: &str = "
local names = {}
for _, field in ipairs(redis.call('HKEYS', registers)) do
  local name = string.match(field, '^generation:(.*)$')
  if name and string.sub(name, 1, #ARGV[2]) == ARGV[2] then table.insert(names, name) end
end
return names
";

const TRIM: &str = "
local known = redis.call('HMGET', meta, 'tail', 'trimmed')
local target = math.min(tonumber(ARGV[2]), tonumber(known[1]))
local step = math.min(target, known[2] + TRIMMED_MAX)
if target <= tonumber(known[2]) then return 0 end
redis.call('XTRIM', log, 'MINID', '=', text(step + 1) .. '-0')
redis.call('HSET', meta, 'trimmed', text(step))
return step < target and 1 or 0
";

impl Script {
    /// All of them, in their own order.
    pub(super) const ALL: [Self; 7] =
        [Self::Append, Self::Span, Self::Entry, Self::Register, Self::Set, Self::Names, Self::Trim];

    /// Whether it may be done twice as well as once.
    pub(super) const fn reads(self) -> bool {
        matches!(self, Self::Span | Self::Entry | Self::Register | Self::Names)
    }

    /// Its text.
    pub(super) fn text(self) -> String {
        let body = match self {
            Self::Append => APPEND,
            Self::Span => SPAN,
            Self::Entry => ENTRY,
            Self::Register => REGISTER,
            Self::Set => SET,
            Self::Names => NAMES,
            Self::Trim => TRIM,
        };
        // Leases are to live, and the log is to be trimmed, also while there is no room for batches.
        let flags = match self {
            Self::Set | Self::Trim => "#!lua flags=allow-oom",
            _ => "",
        };
        let leads = if self.reads() { LEADS } else { "" };
        [flags, KEYS, SAME, leads, body]
            .concat()
            .replace("REGISTERS_MAX", &REGISTERS_MAX.to_string())
            .replace("TRIMMED_MAX", &TRIMMED_MAX.to_string())
    }

    /// The text of [`PREPARE`].
    pub(super) fn prepare() -> String {
        [KEYS, PREPARE].concat()
    }
}
