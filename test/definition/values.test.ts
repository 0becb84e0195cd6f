import { formatDuration, parseDuration } from '../../src/definition/duration.js';
import { parseInstant } from '../../src/definition/instant.js';
import {
  IterationPathError,
  compareIterationPaths,
  formatIterationPath,
  innerPath,
  parseIterationPath,
} from '../../src/definition/iteration-path.js';
import { isLarge, jsonBytes, utf8Bytes } from '../../src/definition/json-size.js';
import { parsePointer, toPointer } from '../../src/definition/pointer.js';
import { listValue, objectValue, partAt, replaceRefs, toDisplay } from '../../src/definition/value-parts.js';
import type { Json, Value } from '../../src/definition/value.js';
import { wholeRef } from '../../src/definition/value.js';
import { aRef } from './builders.js';

describe('durations', () => {
  it.each<readonly [Json, number | undefined]>([
    [1500, 1500],
    [0, 0],
    ['250ms', 250],
    ['90s', 90_000],
    ['5m', 300_000],
    ['24h', 86_400_000],
    ['7d', 604_800_000],
    ['1.5h', 5_400_000],
    [0.4, 0],
    ['1 week', undefined],
    ['5', undefined],
    ['5 m', undefined],
    ['5M', undefined],
    ['-5m', undefined],
    [-1, undefined],
    ['', undefined],
    ['1h30m', undefined],
    ['1e3s', undefined],
    [null, undefined],
    [true, undefined],
    [['5m'], undefined],
    ['3650d', 315_360_000_000],
    ['3651d', undefined],
    [Number.NaN, undefined],
    [Number.POSITIVE_INFINITY, undefined],
  ])('%j is %p ms', (input, ms) => {
    expect(parseDuration(input)).toBe(ms);
  });
  it.each([
    [0, '0ms'],
    [250, '250ms'],
    [90_000, '90s'],
    [300_000, '5m'],
    [86_400_000, '1d'],
    [5_400_000, '90m'],
    [1_500, '1500ms'],
  ])('writes %d as %s, which reads back', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
    expect(parseDuration(text)).toBe(ms);
  });
});

describe('instants', () => {
  it.each<readonly [Json, number | undefined]>([
    ['2026-03-01', Date.UTC(2026, 2, 1)],
    ['2026-03-01T09:05:07.008Z', Date.UTC(2026, 2, 1, 9, 5, 7, 8)],
    ['2026-03-01T09:05', Date.UTC(2026, 2, 1, 9, 5)],
    ['2026-03-01T09:05:07+02:00', Date.UTC(2026, 2, 1, 7, 5, 7)],
    ['2026-03-01 09:05:07-0130', Date.UTC(2026, 2, 1, 10, 35, 7)],
    ['2026-03-01T09:05:07.1234567Z', Date.UTC(2026, 2, 1, 9, 5, 7, 123)],
    [5, 5],
    ['2024-02-29', Date.UTC(2024, 1, 29)],
    ['2026-02-29', undefined],
    ['2026-13-01', undefined],
    ['2026-03-01T25:00', undefined],
    ['tomorrow', undefined],
    ['1', undefined],
    [null, undefined],
    [8.7e15, undefined],
    ['0001-01-01', -62_135_596_800_000],
  ])('%j is %p', (input, ms) => {
    expect(parseInstant(input)).toBe(ms);
  });
});

describe('iteration paths', () => {
  it('reads and writes segments', () => {
    const path = 'parA:b1/loopA:i0/t:catch2/c:then/s:default';
    expect(parseIterationPath(path).map(({ disc }) => disc)).toEqual(['b1', 'i0', 'catch2', 'then', 'default']);
    expect(formatIterationPath(parseIterationPath(path))).toBe(path);
    expect(parseIterationPath('')).toEqual([]);
    expect(innerPath('', 'a', 'i0')).toBe('a:i0');
    expect(innerPath('a:i0', 'b', 'then')).toBe('a:i0/b:then');
  });
  it.each(['a', 'a:', 'a:x1', 'a:i', 'a:i01', '/a:i0', 'a:i0/', 'a:i-1', '1a:i0', 'a:then1', 'a:i99999999999'])('refuses %s', (path) => {
    expect(() => parseIterationPath(path)).toThrow(IterationPathError);
  });
  it('orders numbers as numbers, a path before what lies in it, catch before finally', () => {
    const sorted = [
      '',
      'l:i2',
      'l:i2/m:i0',
      'l:i2/m:i1',
      'l:i10',
      'p:b0',
      'p:b11',
      's:c0',
      's:c2',
      's:default',
      't:try',
      't:catch0',
      't:finally',
    ];
    expect(sorted.toReversed().toSorted(compareIterationPaths)).toEqual(sorted);
  });
});

describe('JSON size', () => {
  it.each(['', 'abc', 'äöü', '€', '😀', 'a😀€ä', '\ud800', 'x\udc00y', '\ud83d\ud83d\ude00'])(
    'counts the UTF-8 bytes of %j like Buffer',
    (text) => {
      expect(utf8Bytes(text)).toBe(Buffer.byteLength(text));
    },
  );
  it('counts JSON', () => {
    expect(jsonBytes({ a: ['ä', 1] })).toBe(Buffer.byteLength('{"a":["ä",1]}'));
  });
  it.each<readonly [string, Json, boolean]>([
    ['32 768 bytes', 'x'.repeat(32_766), false],
    ['one more', 'x'.repeat(32_767), true],
    ['two-byte letters below', 'ä'.repeat(16_383), false],
    ['two-byte letters above', 'ä'.repeat(16_384), true],
    ['a number', 5, false],
  ])('a value of %s', (_, json, expected) => {
    expect(isLarge({ v: json })).toBe(expected);
  });
  it('counts the references in a list, of which one alone is small', () => {
    const ref = aRef('val_1');
    const refs = Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`/${index}`, ref]));
    expect(isLarge({ v: null, refs: { '': ref } })).toBe(false);
    expect(isLarge({ v: Array.from({ length: 1_000 }, () => null), refs })).toBe(true);
  });
});

describe('pointers', () => {
  it.each<readonly [readonly (string | number)[], string]>([
    [[], ''],
    [['a', 0], '/a/0'],
    [['a/b', 'c~d'], '/a~1b/c~0d'],
    [['~1'], '/~01'],
    [[''], '/'],
  ])('%j is %j', (segments, pointer) => {
    expect(toPointer(segments)).toBe(pointer);
    expect(parsePointer(pointer)).toEqual(segments.map(String));
  });
});

describe('values with references', () => {
  const ref = aRef('val_1');
  const held: Value = { v: { a: [null, 1], b: 2, 'x/y': null }, refs: { '/a/0': ref, '/x~1y': ref } };
  it('shows references inline', () => {
    expect(toDisplay(held)).toEqual({ a: [ref, 1], b: 2, 'x/y': ref });
    expect(toDisplay(wholeRef(ref))).toEqual(ref);
    expect(toDisplay({ v: { a: 1 } })).toEqual({ a: 1 });
    expect(held.v).toEqual({ a: [null, 1], b: 2, 'x/y': null });
  });
  it('takes parts, with the references below them', () => {
    expect(partAt(held, ['a'])).toEqual({ at: 'value', value: { v: [null, 1], refs: { '/0': ref } } });
    expect(partAt(held, ['a', 0])).toEqual({ at: 'value', value: { v: null, refs: { '': ref } } });
    expect(partAt(held, ['a', '0', 'deep', 1])).toEqual({ at: 'ref', ref, rest: ['deep', 1] });
    expect(partAt(held, ['x/y', 'z'])).toEqual({ at: 'ref', ref, rest: ['z'] });
    expect(partAt(held, ['b'])).toEqual({ at: 'value', value: { v: 2 } });
    expect(partAt(held, ['c'])).toEqual({ at: 'missing' });
    expect(partAt(wholeRef(ref), [])).toEqual({ at: 'value', value: wholeRef(ref) });
  });
  it('puts values together', () => {
    expect(listValue([{ v: 1 }, wholeRef(ref), held])).toEqual({
      v: [1, null, held.v],
      refs: { '/1': ref, '/2/a/0': ref, '/2/x~1y': ref },
    });
    expect(
      objectValue([
        ['p/q', wholeRef(ref)],
        ['r', { v: 1 }],
      ]),
    ).toEqual({ v: { 'p/q': null, r: 1 }, refs: { '/p~1q': ref } });
    expect(
      objectValue([
        ['p', wholeRef(ref)],
        ['p', { v: 1 }],
      ]),
    ).toEqual({ v: { p: 1 } });
    expect(listValue([{ v: 1 }])).toEqual({ v: [1] });
  });
  it('keeps a key named __proto__ an own key', () => {
    const value = objectValue([['__proto__', { v: { admin: true } }]]);
    expect(Object.keys(value.v as object)).toEqual(['__proto__']);
    expect((value.v as { admin?: boolean }).admin).toBeUndefined();
  });
  it('replaces thousands of references without copying the list each time', () => {
    const many = listValue(Array.from({ length: 20_000 }, () => wholeRef(ref)));
    const started = Date.now();
    expect((replaceRefs(many, () => 1) as Json[]).length).toBe(20_000);
    expect(Date.now() - started).toBeLessThan(1_000);
  });
  it('takes data of the shape of a reference for data (D22)', () => {
    const data: Value = { v: { ref: 'val_other', bytes: 1, sha256: 'x', preview: 'y' } };
    expect(partAt(data, ['ref'])).toEqual({ at: 'value', value: { v: 'val_other' } });
    expect(toDisplay(data)).toBe(data.v);
  });
});
