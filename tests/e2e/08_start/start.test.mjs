// What keeps a program from starting is said in one line, and it ends.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { program } from '../lib/paths.mjs'
import { sleep, stop } from '../lib/processes.mjs'
import { chat, exchange, post } from '../lib/raw.mjs'
import { System } from '../lib/system.mjs'

/** Runs a program that must fail: its exit code and what it said. */
function fails(name, args, { ms = 10_000 } = {}) {
  return new Promise((resolve, reject) => {
    const child = execFile(program(name), args, { timeout: ms }, (error, out, err) => {
      if (!error) return reject(new Error(`${name} ${args.join(' ')} succeeded`))
      if (error.killed) return reject(new Error(`${name} ${args.join(' ')} still ran after ${ms} ms:\n${err}`))
      resolve({ code: error.code ?? child.signalCode, err })
    })
  })
}

/** One line that names what is wrong. */
function clear({ code, err }, pattern) {
  assert.ok(typeof code === 'number' && code !== 0, `exit ${code}`)
  const lines = err.trim().split('\n')
  assert.ok(lines.length <= 2, `one clear line, not:\n${err}`)
  assert.match(err, pattern)
}

describe('configuration', () => {
  let system
  before(async () => { system = await System.start({ models: ['mock-c5'], edge: false }) })
  after(() => system?.stop())

  /** The system's own configuration with one text exchanged. */
  function changed(from, to) {
    const text = readFileSync(system.configFile, 'utf8')
    assert.ok(text.includes(from), from)
    const file = system.file('changed.toml')
    writeFileSync(file, text.replace(from, to))
    return file
  }

  for (const name of ['sluice-edge', 'sluice-reconciler', 'sluice']) {
    const verb = name === 'sluice' ? ['check'] : []
    test(`${name}: broken TOML, unknown keys and impossible values are named with their line`, async () => {
      clear(await fails(name, ['--config', changed('[edge]', '[edge'), ...verb]), /changed\.toml:\d+/)
      clear(await fails(name, ['--config', changed('[edge]', '[edge]\nshard = 1'), ...verb]), /changed\.toml:\d+.*shard/)
      clear(await fails(name, ['--config', changed('shards = 1', 'shards = 0'), ...verb]), /changed\.toml:\d+.*shards/)
      clear(await fails(name, ['--config', changed('shards = 1', 'shards = "two"'), ...verb]), /changed\.toml:\d+.*shards/)
    })
    test(`${name}: a missing file`, async () => {
      clear(await fails(name, ['--config', '/nonexistent/sluice.toml', ...verb]), /nonexistent/)
    })
  }

  test('the used port', async () => {
    const other = createServer()
    await new Promise(done => other.listen(system.port, '127.0.0.1', done))
    clear(await fails('sluice-edge', ['--config', system.configFile]), new RegExp(`${system.port}|in use`))
    other.close()
  })

  test('the missing certificate', async () => {
    const file = changed('[state]', 'certificate_file = "nothing.pem"\nkey_file = "nothing.key"\n[state]')
    clear(await fails('sluice-edge', ['--config', file]), /nothing\.(pem|key)/)
  })

  test('the missing pepper', async () => {
    const file = changed('/secrets/pepper', '/secrets/no-pepper')
    clear(await fails('sluice-edge', ['--config', file]), /no-pepper/)
  })

  test('a state directory that cannot be made', async () => {
    const file = changed(`directory = "${system.state}"`, 'directory = "/proc/sluice"')
    clear(await fails('sluice-reconciler', ['--config', file]), /\/proc\/sluice/)
  })

  test('a second reconciler', async () => {
    clear(await fails('sluice-reconciler', ['--config', system.configFile]), /another|already|running|lock/i)
  })

  test('wrong use of the command line', async () => {
    for (const args of [['nonsense'], ['key', 'add'], ['credit', 'add', '--customer', 'nobody', '--amount', '1'],
      ['customer', 'add', 'a b'], ['apply', '/nonexistent.toml']]) {
      const { code, err } = await fails('sluice', ['--config', system.configFile, ...args])
      assert.ok(code !== 0 && err.trim().length > 0, args.join(' '))
    }
    await assert.rejects(system.cli('customer', 'add', 'rich', '--overdraft', '-5'))
    await system.cli('customer', 'add', 'poor')
    for (const amount of ['-1', '0', '1e400', 'NaN', '99999999999999', '0.0000000001', '']) {
      await assert.rejects(system.cli('credit', 'add', '--customer', 'poor', '--amount', amount), { name: 'Error' }, amount)
    }
    await system.check()
  })

  test('apply: a broken file changes nothing and names its line', async () => {
    const before = JSON.stringify(await system.cli('model', 'list'))
    await assert.rejects(system.apply('[[model]]\nname = "m9"\nroutes = ["openai"]\n[[model.price]]\ninput = "-3"\noutput = "1"\n'),
      error => /apply\.toml:\d+/.test(error.stderr))
    await assert.rejects(system.apply('[[model]]\nname = "m9"\nroutes = ["no-such-channel"]\n'))
    assert.equal(JSON.stringify(await system.cli('model', 'list')), before)
  })
})

test('the order of starting does not matter: the edge waits for the state', async () => {
  const system = await System.start({ models: ['mock-c5'] })
  try {
    const key = await system.customer('patient')
    const send = () => exchange(system.port, post('/v1/chat/completions', chat('mock-c5'), { key }))
    assert.equal((await send()).status, 200)
    await stop(system.edge)
    await stop(system.reconciler)
    system.spawnEdge()
    await sleep(300)
    system.startReconciler()
    await system.listening()
    const deadline = Date.now() + 10_000
    let status = 0
    while (status !== 200 && Date.now() < deadline) ({ status } = await send().catch(() => ({ status: 0 })))
    assert.equal(status, 200)
    await system.check()
  } finally { await system.stop() }
})

test('no state yet: 503 with Retry-After, never 500 or 401', async () => {
  const system = await System.start({ models: ['mock-c5'] })
  try {
    const key = await system.customer('waiting')
    await stop(system.edge)
    await stop(system.reconciler)
    rmSync(system.state, { recursive: true })
    system.spawnEdge()
    const deadline = Date.now() + 3000
    while (Date.now() < deadline) {
      const answer = await exchange(system.port, post('/v1/chat/completions', chat('mock-c5'), { key })).catch(() => null)
      if (answer?.status) {
        assert.equal(answer.status, 503)
        assert.match(answer.text, /retry-after: *\d+/i)
      }
      await sleep(100)
    }
    system.startReconciler()
    await system.listening()
    const until = Date.now() + 10_000
    let status = 0
    while (status !== 200 && Date.now() < until) {
      ({ status } = await exchange(system.port, post('/v1/chat/completions', chat('mock-c5'), { key })).catch(() => ({ status: 0 })))
    }
    assert.equal(status, 200, 'the state was rebuilt from the ledger')
    await system.check()
  } finally { await system.stop() }
})

test('a map that is full stops admission, loses nothing and goes on when there is room', async () => {
  const system = await System.start({ models: ['mock-hold', 'mock-c5'], config: { state: 'map = "4MiB"', ledger: 'drain_interval = "20ms"' } })
  try {
    const key = await system.customer('crowd', { credit: '1000' })
    const waiting = []
    let refused = 0
    let open = 0
    for (let i = 0; i < 4000 && refused === 0; i += 50) {
      for (let j = 0; j < 50; j += 1) {
        waiting.push(exchange(system.port, post('/v1/chat/completions', chat('mock-hold', { max_tokens: 10 }), { key }), { ms: 60_000 })
          .then(answer => { if (answer.status === 503) refused += 1; return answer.status }, () => 0))
      }
      await sleep(50)
      open = (await system.mock.recorder('?limit=0')).held
    }
    assert.ok(refused > 0, `refused at a full map; ${open} were held`)
    await system.check()
    const release = setInterval(() => system.mock.release().catch(() => {}), 50)
    const statuses = await Promise.all(waiting)
    clearInterval(release)
    assert.ok(statuses.every(status => status === 200 || status === 503), JSON.stringify([...new Set(statuses)]))
    const answer = await exchange(system.port, post('/v1/chat/completions', chat('mock-c5'), { key }))
    assert.equal(answer.status, 200)
    await system.check()
  } finally { await system.stop() }
})
