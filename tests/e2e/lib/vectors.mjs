// The 160 inputs of tests/http/h1_vectors.tsv, and what a whole edge must make of each.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './paths.mjs'

const LETTERS = { r: '\r', n: '\n', t: '\t', '\\': '\\' }
const unescape = text => text.replace(/\\(?:x(..)|(.))/g, (_, hex, letter) => {
  if (hex) return String.fromCharCode(parseInt(hex, 16))
  if (!(letter in LETTERS)) throw new Error(`unknown escape \\${letter}`)
  return LETTERS[letter]
})

/** Undoes the repeats "{x*N}" and the escapes; one character a byte. */
function decode(text) {
  let out = ''
  let from = 0
  for (const match of text.matchAll(/\{([^{}]*)\*(\d+)\}/g)) {
    out += unescape(text.slice(from, match.index)) + unescape(match[1]).repeat(Number(match[2]))
    from = match.index + match[0].length
  }
  return out + unescape(text.slice(from))
}

/** [{id, bytes, verdict}], in the table's order. */
export function loadVectors() {
  const vectors = []
  for (const line of readFileSync(join(root, 'tests/http/h1_vectors.tsv'), 'utf8').split('\n')) {
    if (!line || line[0] === '#') continue
    const [id, bytes, verdict] = line.split('\t')
    vectors.push({ id, bytes: decode(bytes), verdict })
  }
  return vectors
}

const JSON_BODY = '{"model":"m","messages":[]}'
const kept = (...statuses) => ({ statuses: [statuses], end: 'kept' })
const closed = (...statuses) => ({ statuses: [statuses], end: 'closed' })
const chat = { ...kept(200), upstream: JSON_BODY }

// What is not refused outright. `upstream`: the one body that the provider gets.
const OTHERS = {
  CL20: chat, TE26: chat, TE33: chat, CH30: chat, CH31: chat, CH32: chat, CH33: chat, CS06: chat,
  TE34: closed(405),        // a body that was not read would be taken for a request
  CH36: { ...closed(200, 400), upstream: JSON_BODY },
  CH39: closed(408),
  HD18: kept(401),
  RL14: kept(404),
  RL25: kept(200),
  CS01: closed(400),        // house rule: no body on GET
  CS02: closed(401),
  CS03: kept(200, 401),     // the second has no key
  CS04: closed(200),
  CS10: kept(200, 404),     // /admin with no key: there is no such path
  CS11: kept(200),
  CS13: closed(408),
}

/**
 * What the table asks for: {statuses: the sequences of final statuses that are allowed, end, upstream}.
 * "R" is one 400 and the end of the connection; numbers outside brackets are statuses of such a refusal.
 */
export function expectationOf({ id, verdict }) {
  if (OTHERS[id]) return OTHERS[id]
  const numbers = verdict.split('(')[0].match(/\d{3}/g) ?? []
  const statuses = [...(verdict[0] === 'R' ? [400] : []), ...numbers.map(Number)]
  return { statuses: statuses.map(status => [status]), end: 'closed' }
}
