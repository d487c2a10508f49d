// Values as people read them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { quantity, unitOf, unitOfExpression } from '../src/format/quantity.js';

const plain = (text: string) => text.replaceAll('\u00a0', ' ');

test('a metric’s name tells its unit', () => {
  const cases: [string, string | null][] = [
    ['boiler_temperature_celsius', 'celsius'], ['go_memstats_alloc_bytes', 'bytes'], ['node_network_receive_bytes_total', 'bytes'],
    ['go_memstats_last_gc_time_seconds', 'date'], ['process_start_time_seconds', 'date'], ['http_requests_created', 'date'],
    ['process_cpu_seconds_total', 'seconds'], ['disk_used_ratio', 'ratio'], ['http_requests_total', null], ['bytes', 'bytes'], ['megabytes', null],
  ];
  for (const [name, unit] of cases) assert.equal(unitOf(name), unit, name);
  assert.equal(unitOf('memory', 'By'), 'bytes');
  assert.equal(unitOf('memory', 'bytes'), 'bytes');
});

test('an expression tells the unit of what it compares', () => {
  const cases: [string, string | null][] = [
    ['boiler_temperature_celsius > 90', 'celsius'],
    ['max by (site) (boiler_temperature_celsius{site=~"a|b_bytes"}) >= 90', 'celsius'],
    ['rate(node_network_receive_bytes_total[5m]) > 1e6', 'bytes/s'],
    ['rate(http_requests_total{code="500"}[5m]) > 3', 'per-second'],
    ['rate(process_cpu_seconds_total[1m]) > 0.9', 'ratio'],
    ['node_memory_free_bytes / node_memory_size_bytes < 0.1', 'ratio'],
    ['free_bytes / requests_total < 3', null],
    ['count(boiler_temperature_celsius > 90) > 3', null],
    ['used_bytes + waited_seconds > 3', null],
    ['up == 0', null],
    ['1 > 2', null],
  ];
  for (const [expression, unit] of cases) assert.equal(unitOfExpression(expression), unit, expression);
});

test('values are as short as tells something', () => {
  const cases: [number | string, Parameters<typeof quantity>[1], string][] = [
    [93.456, 'celsius', '93.5 °C'], [1536, 'bytes', '1.5 KiB'], [0.5, 'bytes', '0.5 B'], [3 * 2 ** 40, 'bytes/s', '3 TiB/s'],
    [0.25, 'ratio', '25 %'], [1.5, 'seconds', '1.5 s'], [0.002, 'seconds', '2 ms'], [3e-6, 'seconds', '3 µs'], [5400, 'seconds', '90 min'],
    [12_345_678, null, '12,350,000'], [1e308, null, '1e308'], [5e-324, null, '4.941e-324'], [0, 'bytes', '0 B'], [-2048, 'bytes', '-2 KiB'],
    ['NaN', 'celsius', 'NaN'], ['+Inf', null, '+Inf'], [Infinity, 'bytes', 'Inf'], [NaN, null, 'NaN'], [42, 'per-second', '42/s'], [3, 'date', '3 s'],
  ];
  for (const [value, unit, text] of cases) assert.equal(plain(quantity(value, unit)), text);
  assert.match(plain(quantity(1_796_000_000, 'date')), /2026/);
});
