// A burst of TLS handshakes has its turn, and streams have theirs.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Authority } from '../lib/certificates.mjs'
import { load } from '../lib/load.mjs'
import { long } from '../lib/paths.mjs'
import { freePort, sleep } from '../lib/processes.mjs'
import { System } from '../lib/system.mjs'

const STREAM = 'mock-s200-ts-g20-c1000000', BURST = 500, STREAMS = 200
// Without a budget a burst is 500 times 0.15 ms of work in one piece, which a chunk in twenty would meet.
const DELAY_MOST_US = 30_000

describe('a burst of handshakes', () => {
  let system, authority, port, key

  before(async () => {
    authority = new Authority('sluice bursts')
    const own = authority.issue('edge', 'DNS:localhost,IP:127.0.0.1')
    port = await freePort()
    system = await System.start({
      models: ['mock-c5', STREAM], mockArgs: ['--records', '0'],
      config: {
        edge: 'shards = 1',
        listener: `[[edge.listener]]\naddress = "127.0.0.1:${port}"\ncertificate_file = "${own.certificate}"\nkey_file = "${own.key}"`,
        limits: 'connections_per_address = 0',
      },
    })
    key = await system.customer('burst', { credit: '100000' })
  })
  after(() => system?.stop())

  const settings = more => ({ key, ca: authority.file, ...more })

  test(`${BURST} at once, three times, under ${STREAMS} streams: all are served, no chunk is lost`, { timeout: 60_000 }, async context => {
    const quiet = await load('streams', port, settings({ connections: STREAMS, model: STREAM, ramp: 1, warmup: 0.5, seconds: 2 })).result
    const streams = load('streams', port, settings({ connections: STREAMS, model: STREAM, ramp: 1, warmup: 0.5, seconds: 5 }))
    await sleep(2000)
    for (let i = 0; i < 3; i += 1) {
      const burst = await load('requests', port, settings({ connections: BURST, requests: BURST, model: 'mock-c5', fresh: 'yes', seconds: 10 })).result
      assert.ok(burst.good >= BURST, JSON.stringify(burst.errors))
    }
    const under = await streams.result
    assert.equal(under.lost, 0)
    assert.equal(under.errors.closed + under.errors.malformed, 0)
    context.diagnostic(`chunk delay p99: ${quiet.delay_us.p99} µs alone, ${under.delay_us.p99} µs under bursts`)
    if (long) assert.ok(under.delay_us.p99 <= DELAY_MOST_US, `p99 ${under.delay_us.p99} µs`)
  })
})
