// Hours in minutes: everything at once with one fault in a hundred, while memory and descriptors stay flat and the
// auditor finds nothing. A quarter of a minute in the normal suite; `tools/soak MINUTES` takes its time, says each
// minute how it is, and leaves the samples and a picture of them in build/.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build, program } from '../lib/paths.mjs'
import { sleep, start, stop, until } from '../lib/processes.mjs'
import { System } from '../lib/system.mjs'
import { picture } from './picture.mjs'

const MINUTES = Number(process.env.SLUICE_SOAK_MINUTES ?? 0.25)
const SAMPLE_MS = MINUTES < 1 ? 1000 : 10_000
const CHECK_MS = MINUTES < 1 ? 5000 : 60_000
const CHECK_MOST_MS = 300_000  // it reads every row of the half hour
const WARM = 0.25  // of the time: pools, caches and frames fill
// In a short run the ledger's page cache is still filling: only a coarse leak would show.
const GROWTH_KIB = MINUTES < 5 ? 16 * 1024 : 2048
const MODELS = {
  answer: 'mock-c5', stream: 'mock-c40-g25', left: 'mock-c30-g20',
  // With gaps of half a second: about one request in a hundred is one of these.
  faults: ['mock-e500', 'mock-e429-ra1', 'mock-c6-g500-cut3', 'mock-c6-g500-rst2', 'mock-c6-g500-nousage',
    'mock-c6-g500-hugeusage', 'mock-c6-g500-err3', 'mock-c9-g500-stall4'],
}
let system
let load = []

before(async () => {
  system = await System.start({
    models: [MODELS.answer, MODELS.stream, MODELS.left, ...MODELS.faults],
    config: { edge: 'shards = 2', timeouts: 'between_tokens = "3s"', state: 'map = "128MiB"' },
    mockArgs: ['--records', '0', '--keep-bodies', '0'],
  })
})
after(async () => {
  await Promise.all(load.map(child => stop(child, 500)))
  await system?.stop()
})

function drive(mode, key, model, ...more) {
  return start(program('sluice-load'), [mode, '--target', `127.0.0.1:${system.port}`, '--key', key, '--model', model,
    '--seconds', String(MINUTES * 60 + 60), ...more])
}

/** Memory and descriptors of each process of the node. */
function sample(seconds) {
  const processes = { supervisor: system.edge.pid, reconciler: system.reconciler.pid }
  system.shards().forEach((pid, number) => { processes[`shard ${number}`] = pid })
  return Object.entries(processes).map(([name, pid]) => ({
    seconds, name, pid,
    // Its own: pages of the shared state become resident as they are touched, up to the map's size.
    kib: Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]),
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
  }))
}

const largest = (rows, what) => Math.max(...rows.map(row => row[what]))

test(`${MINUTES} minutes of everything: memory and descriptors are flat, the books are right`, { timeout: MINUTES * 60_000 + 120_000 }, async () => {
  const key = await system.customer('soak', { credit: '1000000' })
  load = [
    drive('requests', key, MODELS.answer, '--connections', '16', '--rate', '400'),
    drive('streams', key, MODELS.stream, '--connections', '150'),
    drive('streams', key, MODELS.left, '--connections', '20', '--abort-after', '7'),
    ...MODELS.faults.map(model => /^mock-e/.test(model)
      ? drive('requests', key, model, '--connections', '1', '--rate', '2')
      : drive('streams', key, model, '--connections', '1')),
  ]
  const samples = []
  const begun = Date.now()
  const passed = () => (Date.now() - begun) / 1000
  let checked = begun
  while (passed() < MINUTES * 60) {
    await sleep(SAMPLE_MS)
    samples.push(...sample(passed()))
    if (Date.now() - checked < CHECK_MS) continue
    checked = Date.now()
    await system.check(CHECK_MOST_MS)
    const took = (Date.now() - checked) / 1000
    const now = samples.filter(row => row.seconds === samples.at(-1).seconds)
    console.log(`${(passed() / 60).toFixed(1)} min: ` +
      now.map(row => `${row.name} ${(row.kib / 1024).toFixed(1)} MiB ${row.descriptors} fd`).join(', ') + `; check ok in ${took.toFixed(1)} s`)
  }
  await Promise.all(load.map(child => stop(child, 500)))
  if (MINUTES >= 1) {
    writeFileSync(join(build, '..', 'soak.json'), JSON.stringify(samples))
    writeFileSync(join(build, '..', 'soak.svg'), picture(samples))
  }
  const rows = await system.cli('usage', 'list', '--customer', 'soak', '--limit', '100')
  assert.ok(rows.length === 100, 'the load was real')
  await until(async () => (await system.wallet('soak')).held === 0n, 'all holds to be closed', 30_000, 100)
  await system.check(CHECK_MOST_MS)

  for (const name of new Set(samples.map(row => row.name))) {
    const mine = samples.filter(row => row.name === name)
    assert.equal(new Set(mine.map(row => row.pid)).size, 1, `${name} ran to the end`)
    const warm = mine.filter(row => row.seconds > MINUTES * 60 * WARM)
    const half = Math.floor(warm.length / 2)
    const [early, late] = [warm.slice(0, half), warm.slice(half)]
    assert.ok(largest(late, 'kib') <= largest(early, 'kib') * 1.05 + GROWTH_KIB, `memory of ${name}: ${largest(early, 'kib')} KiB, later ${largest(late, 'kib')}`)
  }
  // Connections move from shard to shard: their descriptors are flat together.
  const open = [...new Set(samples.map(row => row.seconds))].filter(at => at > MINUTES * 60 * WARM)
    .map(at => samples.filter(row => row.seconds === at).reduce((sum, row) => sum + row.descriptors, 0))
  const [early, late] = [open.slice(0, open.length / 2), open.slice(open.length / 2)].map(part => Math.max(...part))
  assert.ok(late <= early * 1.1 + 16, `descriptors: ${early}, later ${late}`)
})
