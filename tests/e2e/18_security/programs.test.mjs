// How the programs of a release are built, and what they are linked to.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { describe, test } from 'node:test'
import { program } from '../lib/paths.mjs'

const readelf = (...args) => execFileSync('readelf', ['-W', ...args], { encoding: 'utf8', maxBuffer: 1 << 26 })

for (const name of ['sluice-edge', 'sluice-reconciler', 'sluice']) {
  describe(name, () => {
    const path = program(name)

    test('lies anywhere in memory; nothing is both writable and executable', () => {
      assert.match(readelf('-h', path), /Type:\s+DYN/)
      assert.match(readelf('-d', path), /FLAGS_1.*NOW.*PIE/)
      const segments = readelf('-l', path)
      assert.match(segments, /GNU_RELRO/)
      assert.match(segments, /GNU_STACK\s.*RW /)
      assert.doesNotMatch(segments, /LOAD.*RWE/)
    })

    test('is guarded: stack protector, fortified calls', () => {
      const symbols = readelf('--dyn-syms', path)
      assert.match(symbols, /__stack_chk_fail/)
      assert.match(symbols, /__\w+_chk@/)
    })
  })
}

test('the edge has no SQL in it, and no interpreter of commands', () => {
  const path = program('sluice-edge')
  assert.doesNotMatch(readelf('-d', path), /sqlite|soci|curl|ssl|crypto/i)
  assert.doesNotMatch(readelf('--dyn-syms', path), /sqlite3_|\b(system|popen|execlp|wordexp|dlopen)@/)
})
