// The 160 inputs on which servers have disagreed, against a whole edge, over TCP and over TLS: whole and cut at
// every byte. Each has a key that is good and a model that is served, so that nothing but the bytes is judged: by
// what the client sees, by whether the connection goes on and in step, and by what reached the provider.
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, describe, test } from 'node:test'
import tls from 'node:tls'
import { inParallel, play } from '../lib/answers.mjs'
import { Authority } from '../lib/certificates.mjs'
import { bodyOf } from '../lib/mock.mjs'
import { long } from '../lib/paths.mjs'
import { freePort } from '../lib/processes.mjs'
import { proveExact } from '../lib/proof.mjs'
import { System } from '../lib/system.mjs'
import { expectationOf, loadVectors } from '../lib/vectors.mjs'

const EVERY_CUT_BYTES = 2048  // beyond, SAMPLED cuts
const SAMPLED = 64
const SHORT_TLS_CUTS = 32
const END_MS = 1000       // from a refusal to the end of the connection, with 96 connections at work
const WIDTH = 96
const vectors = loadVectors()
let system, authority, key, tlsPort
let billed = 0  // usage rows of the tests before

before(async () => {
  authority = new Authority('sluice vectors')
  const own = authority.issue('edge', 'DNS:localhost,IP:127.0.0.1')
  tlsPort = await freePort()
  system = await System.start({
    models: ['m'],
    mockArgs: ['--model', 'm=c1', '--records', '100000'],
    config: {
      listener: `[[edge.listener]]\naddress = "127.0.0.1:${tlsPort}"\ncertificate_file = "${own.certificate}"\nkey_file = "${own.key}"`,
      limits: 'head_timeout = "1s"\ntls_handshake_timeout = "10s"\nunknown_keys_per_minute = 0',
    },
  })
  key = await system.customer('vectors', { credit: '1000' })
})
after(() => system?.stop())

const transports = {
  plain: () => connect({ port: system.port, host: '127.0.0.1', noDelay: true }),
  TLS: () => tls.connect({ port: tlsPort, host: '127.0.0.1', servername: 'localhost', ca: authority.pem })
    .once('secureConnect', function () { this.setNoDelay() }),
}
const READY = { plain: 'connect', TLS: 'secureConnect' }

const QUESTION = () => `GET /v1/models/unknown HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${key}\r\n\r\n`

// Behind the first Host, where one is: the key, and a name by which the provider's record is found. Inputs whose
// head brings a credential keep theirs.
const HOST = /Host: [^\r\n]*\r\n/
function armed(vector, name) {
  if (/^authorization:/im.test(vector.bytes.split('\r\n\r\n')[0])) return { text: vector.bytes, from: 0, to: 0 }
  const host = HOST.exec(vector.bytes)
  if (!host) return { text: vector.bytes, from: 0, to: 0 }
  const at = host.index + host[0].length
  const added = `Authorization: Bearer ${key}\r\nUser-Agent: ${name}\r\n`
  return { text: vector.bytes.slice(0, at) + added + vector.bytes.slice(at), from: at, to: at + added.length }
}

/** Places to cut: every one up to 2 KiB, samples beyond; what was added is not cut. */
function cutsOf({ text, from, to }, most = Infinity) {
  const cuts = []
  for (let at = 1; at < text.length && at < EVERY_CUT_BYTES; at += 1) if (at <= from || at >= to) cuts.push(at)
  for (let i = 0; i < SAMPLED && text.length > EVERY_CUT_BYTES; i += 1) {
    cuts.push(EVERY_CUT_BYTES + Math.floor((text.length - EVERY_CUT_BYTES) * i / SAMPLED))
  }
  if (cuts.length <= most) return cuts
  return Array.from({ length: most }, (_, i) => cuts[Math.floor((i + 0.5) * cuts.length / most)])
}

/** Plays all vectors with their cuts (0 = whole) and returns what was seen, by vector. */
async function playAll(transport, mostCuts) {
  const runs = []
  for (const vector of vectors) {
    const cuts = mostCuts === 0 ? [0] : cutsOf(armed(vector, `${vector.id}.${transport}.0000`), mostCuts)
    for (const cut of cuts) runs.push({ vector, cut, name: `${vector.id}.${transport}.${String(cut).padStart(4, '0')}` })
  }
  // Those that wait for a time-out wait beside the others.
  const waits = run => expectationOf(run.vector).statuses[0][0] === 408
  const one = async run => {
    const { text } = armed(run.vector, run.name)
    const { statuses, end } = expectationOf(run.vector)
    const socket = transports[transport]()
    socket.on('error', () => {})
    await new Promise(done => { socket.once(READY[transport], done).once('close', done) })
    const seen = await play(socket, {
      pieces: run.cut === 0 ? [text] : [text.slice(0, run.cut), text.slice(run.cut)],
      count: statuses[0].length, ms: 20_000,
      question: QUESTION(), questionStatus: 404,
    })
    const allowed = statuses.some(list => list.join() === seen.statuses.join()) && seen.end === end
    const promised = end === 'kept' || seen.answers.at(-1)?.closes === true
    run.outcome = `${seen.statuses} ${seen.end}`
    if (!allowed || !promised) run.wrong = `${run.name}: ${run.outcome}${promised ? '' : ', no Connection: close'}; the table: ${run.vector.verdict}`
    else if (end === 'closed' && seen.endMs > END_MS) run.wrong = `${run.name}: ended ${seen.endMs} ms after its answer`
  }
  await Promise.all([
    inParallel(runs.filter(waits), Infinity, one),
    inParallel(runs.filter(run => !waits(run)), WIDTH, one),
  ])
  return runs
}

/** Every run has its vector's verdict, the same for each cut, and the provider saw what it had to see. */
async function judge(runs) {
  const wrong = runs.filter(run => run.wrong).map(run => run.wrong)
  assert.deepEqual(wrong.slice(0, 20), [], `${wrong.length} of ${runs.length} runs`)
  const expected = new Map(runs.filter(run => expectationOf(run.vector).upstream).map(run => [run.name, run.vector]))
  const records = await system.mock.records(expected.size)
  const names = records.map(record => /\r\nuser-agent: ([^\r]*)\r\n/i.exec(record.head)?.[1])
  assert.deepEqual(names.toSorted(), [...expected.keys()].toSorted(), 'one request each, and no other')
  for (const record of records) {
    const { head } = record
    assert.equal(bodyOf(record), expectationOf(vectors.find(vector => vector.id === 'TE26')).upstream)
    assert.equal(head.match(/\r\ncontent-length: 27\r\n/gi)?.length, 1, head)
    assert.doesNotMatch(head, /transfer-encoding|expect|cookie|x-injected|evil/i)
  }
  const rows = await system.usageOf('vectors', billed + records.length)
  assert.equal(rows.length, billed + records.length, 'no other request has a bill')
  await proveExact(system, records, rows.slice(billed))
  billed = rows.length
}

for (const transport of Object.keys(transports)) {
  describe(`over ${transport}`, () => {
    let whole
    test('160 of 160 have their verdict', async () => {
      await system.mock.mark()
      whole = await playAll(transport, 0)
      assert.equal(whole.length, 160)
      await judge(whole)
    })

    const all = transport === 'plain' || long
    test(`and the same when cut ${all ? 'at every byte' : `at ${SHORT_TLS_CUTS} places`}`, async t => {
      await system.mock.mark()
      const begun = Date.now()
      const runs = await playAll(transport, all ? Infinity : SHORT_TLS_CUTS)
      t.diagnostic(`${runs.length} connections in ${Date.now() - begun} ms`)
      const outcomes = new Map(whole.map(run => [run.vector.id, run.outcome]))
      const changed = runs.filter(run => run.outcome !== outcomes.get(run.vector.id))
      assert.deepEqual(changed.slice(0, 20).map(run => `${run.name}: ${run.outcome}, whole: ${outcomes.get(run.vector.id)}`), [])
      await judge(runs)
    })
  })
}

test('CS06: the client is told to go on if it waits, and not if it does not', async () => {
  const vector = vectors.find(({ id }) => id === 'CS06')
  const { text } = armed(vector, 'CS06')
  const body = text.indexOf('\r\n\r\n') + 4
  const interim = []
  for (const pieces of [[text], [text.slice(0, body), text.slice(body)]]) {
    const socket = transports.plain()
    await new Promise(done => { socket.once('connect', done) })
    interim.push((await play(socket, { pieces, count: 1, gapMs: 100, question: QUESTION(), questionStatus: 404 })).interim)
  }
  assert.deepEqual(interim, [0, 1])
})

test('without a key nothing is worse than 401, and the connection ends', async () => {
  await system.mock.mark()
  const wrong = []
  await inParallel(vectors, WIDTH, async vector => {
    const { statuses, end } = expectationOf(vector)
    const socket = transports.plain()
    socket.on('error', () => {})
    await new Promise(done => { socket.once('connect', done).once('close', done) })
    const seen = await play(socket, { pieces: [vector.bytes], count: statuses[0].length, ms: 20_000,
      question: 'GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n', questionStatus: 404 })
    // What a head alone is refused for has its status; who is known only by the body's framing gets the key's 401.
    const asArmed = statuses.some(list => list.join() === seen.statuses.join()) && seen.end === end
    const unknown = seen.statuses.every(status => status === 401 || status === 404) && seen.statuses.length <= statuses[0].length
    if (!asArmed && !unknown) wrong.push(`${vector.id}: ${seen.statuses} ${seen.end}`)
  })
  assert.deepEqual(wrong, [])
  assert.deepEqual(await system.mock.since(), [])
})

test('the shard is the one that began, and nothing is held', async () => {
  const wallet = await system.wallet('vectors')
  assert.equal(wallet.held, 0n)
  assert.doesNotMatch(system.logs(), /assertion failed|ended \(signal|Sanitizer/)
})
