/** What must happen in one step in Redis, in Lua. Keys and fields are those of `keys.ts`. */
import { createHash } from 'node:crypto';

export interface Script {
  readonly text: string;
  /** By which Redis remembers it. Hexadecimal. */
  readonly sha1: string;
}

/**
 * Shared by all scripts.
 *
 * - `member` finds the value of a top-level member by pattern, because decoding a record means decoding its whole tensor list, and because
 *   Lua's numbers would round large times. A quoted name followed by a colon can stand only where a key stands; members of that name
 *   deeper down (in the topology) come later and hold text.
 * - `readable` decodes a summary, which is small.
 * - `live_time` is the time of a rank's status. Records count where the summary is missing, and always when `records` is '1'.
 */
const shared = `
local function member(text, name, pattern)
  local from = 1
  while true do
    local at = string.find(text, '"' .. name .. '"', from, true)
    if not at then return nil end
    local value = string.match(text, '^%s*:%s*' .. pattern, at + #name + 2)
    if value then return value end
    from = at + 1
  end
end

local function integer(text, name)
  return member(text, name, '(%-?%d+)')
end

local function readable(text)
  if not text then return nil end
  local decoded, value = pcall(cjson.decode, text)
  if not decoded or type(value) ~= 'table' then return nil end
  for _, name in ipairs({ 'worker_rank', 'status', 'updated_at' }) do
    if type(value[name]) ~= 'number' then return nil end
  end
  return value
end

local function live_time(key, rank, summary, records)
  local live = readable(summary) and integer(summary, 'updated_at')
  if live and records ~= '1' then return live end
  local record = redis.call('HGET', key, rank)
  local published = record and integer(record, 'updated_at') or '0'
  if live and tonumber(live) >= tonumber(published) then return live end
  return published
end
`;

function script(body: string): Script {
  const text = shared + body;
  return { text, sha1: createHash('sha1').update(text).digest('hex') };
}

/** What `setStatus` answers first; with `changed` the summary that it found follows. */
export const StatusOutcome = { unknown: -1, older: 0, written: 1, changed: 2, elsewhere: 3 } as const;

/**
 * KEYS worker, source. ARGV rank, status field, worker id, new summary, its time, the summary whose accelerator and topology it carries
 * on ('' none), the time that the rank must have ('' any), records. An update that is older than what is stored is dropped. The source's summary follows when it
 * is this rank's, or when there is none.
 */
export const setStatus = script(`
local function topology(summary)
  return type(summary.topology) == 'table' and summary.topology or {}
end

local function contains(map, other)
  for name, value in pairs(other) do
    if map[name] ~= value then return false end
  end
  return true
end

-- Whether what a heartbeat carries on is still the same.
local function carries(current, expected)
  if (current or '') == expected then return true end
  local a, b = readable(current), readable(expected)
  if not a or not b or a.accelerator ~= b.accelerator then return false end
  return contains(topology(a), topology(b)) and contains(topology(b), topology(a))
end

if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return { -1 } end
local current = redis.call('HGET', KEYS[1], ARGV[2])
if not carries(current, ARGV[6]) then return { 2, current or '' } end
if ARGV[7] ~= '' and live_time(KEYS[1], ARGV[1], current, ARGV[8]) ~= ARGV[7] then return { 3 } end
local live = readable(current)
local time = tonumber(ARGV[5])
if live and live.updated_at > time then return { 0 } end

local listed = redis.call('HGET', KEYS[2], ARGV[3])
local follows = not listed
if listed then
  local summary = readable(listed)
  if summary then
    follows = summary.worker_rank == tonumber(ARGV[1]) and summary.updated_at <= time
  else
    follows = tonumber(listed) == tonumber(ARGV[1])
  end
end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[4])
if follows then redis.call('HSET', KEYS[2], ARGV[3], ARGV[4]) end
return { 1 }
`);

/**
 * KEYS worker, source. ARGV worker id, the time that its representative rank must have ('' any), records, field of the source's
 * attributes. Answers 1 when the worker was there and is not any longer. A source without workers goes with its last one.
 */
export const removeWorker = script(`
local listed = redis.call('HGET', KEYS[2], ARGV[1])
if ARGV[2] ~= '' then
  if not listed then return 0 end
  local summary = readable(listed)
  local rank = string.format('%.0f', summary and summary.worker_rank or tonumber(listed) or 0)
  local time
  if redis.call('EXISTS', KEYS[1]) == 0 then
    time = summary and integer(listed, 'updated_at') or '0'
  else
    time = live_time(KEYS[1], rank, redis.call('HGET', KEYS[1], 'status:' .. rank), ARGV[3])
  end
  if time ~= ARGV[2] then return 0 end
end
local gone = redis.call('DEL', KEYS[1]) + redis.call('HDEL', KEYS[2], ARGV[1])
local left = redis.call('HLEN', KEYS[2])
if left == 1 and redis.call('HEXISTS', KEYS[2], ARGV[4]) == 1 then redis.call('DEL', KEYS[2]) end
if gone > 0 then return 1 end
return 0
`);

/** `ranks_of` a worker: of each its number, summary, and, where the summary is not readable and with records always, the record's status, time and accelerator. */
const ranks = `
local function ranks_of(key, records)
  local ranks = {}
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if string.find(field, '^%d+$') then
      local rank = { field, redis.call('HGET', key, 'status:' .. field) }
      if records == '1' or not readable(rank[2]) then
        local record = redis.call('HGET', key, field)
        rank[3] = integer(record, 'status') or '0'
        rank[4] = integer(record, 'updated_at') or '0'
        rank[5] = member(record, 'accelerator', '"([^"\\\\]*)"') or ''
      end
      ranks[#ranks + 1] = rank
    end
  end
  return ranks
end
`;

/** KEYS workers. ARGV records. Answers for each worker with its ranks. */
export const readRanks = script(`${ranks}
local workers = {}
for index, key in ipairs(KEYS) do workers[index] = ranks_of(key, ARGV[1]) end
return workers
`);

/**
 * KEYS source, workers. ARGV field of the source's attributes, records, ids of those workers. Answers with the number of the source's
 * workers, its attributes, and for each of those workers its field in the source's hash and its ranks.
 */
export const readChanges = script(`${ranks}
local attributes = redis.call('HGET', KEYS[1], ARGV[1])
local count = redis.call('HLEN', KEYS[1])
if attributes then count = count - 1 end
local workers = {}
for index = 2, #KEYS do
  local text = redis.call('HGET', KEYS[1], ARGV[index + 1])
  workers[index - 1] = { text, text and ranks_of(KEYS[index], ARGV[2]) or {} }
end
return { count, attributes, workers }
`);

/** KEYS worker, source. ARGV field of the source's attributes. Answers with the worker's lowest rank, its summary, the attributes, and the record's length. */
export const findWorker = script(`
local lowest
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.find(field, '^%d+$') and (not lowest or tonumber(field) < tonumber(lowest)) then lowest = field end
end
if not lowest then return {} end
local summary = redis.call('HGET', KEYS[1], 'status:' .. lowest)
return { lowest, summary, redis.call('HGET', KEYS[2], ARGV[1]), redis.call('HSTRLEN', KEYS[1], lowest) }
`);
