// What is under the node gives way: the ledger's disk is full, the reconciler stands still, a second edge comes to
// the same state. Requests are refused before a provider hears of them, and no money is lost or doubled.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { long, program } from '../lib/paths.mjs'
import { paid } from '../lib/price.mjs'
import { freePort, sleep, start, until } from '../lib/processes.mjs'
import { chat, exchange, post } from '../lib/raw.mjs'
import { System } from '../lib/system.mjs'

const PATH = '/v1/chat/completions'
let system
let key
before(async () => {
  system = await System.start({ models: ['mock-c5'], config: { ledger: 'max_undrained_age = "500ms"' }, mockArgs: ['--keep-bodies', '0'] })
  key = await system.customer('acme', { credit: '50' })
  await until(async () => (await system.wallet('acme')).available > 0n, 'the credit')
})
after(() => system?.stop())

const send = () => exchange(system.port, post(PATH, chat('mock-c5'), { key }), { ms: 3000 })
const asked = async () => (await system.mock.recorder('?limit=0')).last_number

/** Sends requests until one is refused as it should be, and then more: no provider is asked. */
async function refusedBeforeTheProvider(what) {
  let served = 0
  const refusal = await until(async () => {
    const answer = await send()
    if (answer.status === 200) served += 1
    return answer.status !== 200 && answer
  }, `${what}: a refusal`, 10_000, 20)
  const before = await asked()
  for (const answer of [refusal, await send(), await send()]) {
    assert.equal(answer.status, 503, `${what}: ${answer.text}`)
    assert.match(answer.text, /retry-after: *\d+/i)
  }
  assert.equal(await asked(), before, `${what}: the provider was asked all the same`)
  const models = await exchange(system.port, `GET /v1/models HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${key}\r\nConnection: close\r\n\r\n`)
  assert.equal(models.status, 200, `${what}: what needs no money is answered`)
  return served
}

/** Serves again, every row is in the ledger once, and the wallet paid for each. */
async function servesAgain(what) {
  await until(async () => (await send().catch(() => ({}))).status === 200, `${what}: to serve again`, 15_000, 50)
  await until(async () => (await system.wallet('acme')).held === 0n, `${what}: no hold left`)
  const seen = await asked()
  const rows = await until(async () => {
    const found = await system.usage('--customer', 'acme')
    return found.length === seen && found
  }, `${what}: a row for each of ${seen} requests`)
  const { available } = await system.wallet('acme')
  assert.equal(available, 50_000_000_000n - rows.reduce((sum, row) => sum + paid(row), 0n))
  await system.check()
}

test('a second edge in the same state directory is refused, and the first goes on', async () => {
  const file = system.file('second.toml')
  const [port, metrics] = [await freePort(), await freePort()]
  writeFileSync(file, readFileSync(system.configFile, 'utf8').replaceAll(`:${system.port}"`, `:${port}"`)
    .replaceAll(`:${system.metricsPort}"`, `:${metrics}"`))
  const log = system.file('second.log')
  const second = start(program('sluice-edge'), ['--config', file], { log })
  const { code } = await second.ended
  const said = readFileSync(log, 'utf8')
  assert.ok(code > 0, `exit ${code}`)
  assert.equal(said.trim().split('\n').length, 1, said)
  assert.match(said, /another sluice-edge is at work/)
  assert.equal((await send()).status, 200)
  await system.check()
})

test("the ledger's disk is full: requests are refused, and served when there is room", async () => {
  assert.equal((await send()).status, 200)
  const pid = system.reconciler.pid
  // The log cannot grow, nor anything else that this process writes. Its own limit is as good as a full disk, and
  // needs no right to mount one.
  const limit = bytes => execFileSync('prlimit', ['--pid', String(pid), `--fsize=${bytes}:`])
  await until(() => statSync(system.file('ledger.db-wal')).size > 0, "the ledger's log")
  limit(statSync(system.file('ledger.db-wal')).size)
  const served = await refusedBeforeTheProvider('disk full')
  assert.ok(served < 400, `${served} were served and are not in the ledger`)
  assert.equal(system.reconciler.exitCode, null, 'the reconciler waits for room')
  limit('unlimited')
  await servesAgain('room again')
  assert.match(readFileSync(system.file('reconciler.log'), 'utf8'), /usage cannot be stored, it waits/)
})

test(`somebody else holds the ledger for ${long ? 60 : 4} s under load: served to the bound, then 503, never 500 or 401`, async () => {
  const holder = start('python3', ['-c', `
import sqlite3, sys, time
books = sqlite3.connect(sys.argv[1], isolation_level=None)
books.execute('PRAGMA busy_timeout=10000')
books.execute('BEGIN IMMEDIATE')
print('held', flush=True)
time.sleep(float(sys.argv[2]))
books.execute('ROLLBACK')
`, system.file('ledger.db'), String(long ? 60 : 4)], { pipe: true })
  await new Promise(held => holder.stdout.once('data', held))
  let away = true
  holder.ended.then(() => { away = false })
  const statuses = new Map()
  await Promise.all(Array.from({ length: 8 }, async () => {
    while (away) {
      const { status, text } = await send()
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      if (status === 503) assert.match(text, /retry-after: *\d+/i)
      await sleep(status === 503 ? 20 : 0)
    }
  }))
  assert.deepEqual([...statuses.keys()].sort(), [200, 503], JSON.stringify([...statuses]))
  await servesAgain('the ledger is back')
})

test(`the reconciler stands still for ${long ? 30 : 3} s: requests are refused, and served when it goes on`, async () => {
  process.kill(system.reconciler.pid, 'SIGSTOP')
  const began = Date.now()
  await refusedBeforeTheProvider('stopped')
  await sleep(Math.max(0, began + (long ? 30_000 : 3000) - Date.now()))
  assert.equal((await send()).status, 503)
  process.kill(system.reconciler.pid, 'SIGCONT')
  await servesAgain('going on')
})

test('it dies while it stands still: the next one takes up what it left', async () => {
  process.kill(system.reconciler.pid, 'SIGSTOP')
  await refusedBeforeTheProvider('stopped')
  process.kill(system.reconciler.pid, 'SIGKILL')
  await system.reconciler.ended
  system.startReconciler()
  await servesAgain('another one')
})
