// What the node says to others by itself: spans to a collector, notices by webhook and mail. Nobody who is away or
// slow holds up the books.
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { nanos, PRICE, priceToml } from '../lib/price.mjs'
import { freePort, sleep, start, stop, until } from '../lib/processes.mjs'
import { program } from '../lib/paths.mjs'
import { sdks } from '../lib/sdks.mjs'
import { System } from '../lib/system.mjs'

const SECRET = 'a-secret-of-more-than-24-bytes'
const openai = sdks.find(sdk => sdk.name === 'openai')
const claude = sdks.find(sdk => sdk.name === 'claude')

/** An HTTP server that keeps what it was sent; `answer` decides the status. */
async function recorder(answer = () => 200) {
  const seen = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', part => { body += part })
    request.on('end', async () => {
      const status = await answer(seen.length)
      seen.push({ url: request.url, headers: request.headers, body, status })
      if (!response.destroyed) response.writeHead(status).end()
    })
  })
  await new Promise(done => server.listen(0, '127.0.0.1', done))
  return { seen, server, port: server.address().port, stop: () => { server.closeAllConnections(); server.close() } }
}

/** A mail server that keeps messages, with AUTH PLAIN. */
async function mailbox() {
  const messages = []
  const server = createTcpServer(socket => {
    let text = ''
    let message = null
    let asked = false
    const say = line => socket.write(`${line}\r\n`)
    socket.on('error', () => {})
    say('220 mail.test ESMTP')
    socket.on('data', part => {
      text += part
      for (let end; (end = text.indexOf('\r\n')) >= 0;) {
        const line = text.slice(0, end)
        text = text.slice(end + 2)
        if (message?.data !== undefined) {
          if (line === '.') { messages.push(message); message = null; say('250 taken') } else message.data += `${line}\n`
        } else if (/^EHLO/i.test(line)) { say('250-mail.test'); say('250 AUTH PLAIN') }
        else if (/^AUTH PLAIN$/i.test(line)) { asked = true; say('334 ') }
        else if (asked) {
          asked = false
          say(Buffer.from(line, 'base64').toString() === '\0sluice\0mail-pass' ? '235 good' : '535 bad')
        } else if (/^MAIL FROM:/i.test(line)) { message = { from: line.slice(10), to: [] }; say('250 ok') }
        else if (/^RCPT TO:/i.test(line)) { message.to.push(line.slice(8)); say('250 ok') }
        else if (/^DATA/i.test(line)) { message.data = ''; say('354 go on') }
        else if (/^QUIT/i.test(line)) { say('221 bye'); socket.end() }
        else say('250 ok')
      }
    })
  })
  await new Promise(done => server.listen(0, '127.0.0.1', done))
  return { messages, server, port: server.address().port }
}

const metric = async (system, name) => {
  const page = await (await fetch(`http://127.0.0.1:${system.metricsPort}/metrics`)).text()
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(page)[1])
}

/** Another reconciler with these sections, in the place of the one that runs. */
async function restart(system, more) {
  await stop(system.reconciler)
  system.writeConfig({ ledger: 'drain_interval = "5ms"', timeouts: `\n${more}` })
  system.startReconciler()
  await system.ready()
}

test('a Prometheus scrapes the metrics', async () => {
  const system = await System.start({ models: ['mock-c5'] })
  const port = await freePort()
  writeFileSync(system.file('prometheus.yml'), `scrape_configs:
  - job_name: sluice
    scrape_interval: 200ms
    scrape_timeout: 200ms
    static_configs: [{targets: ["127.0.0.1:${system.metricsPort}"]}]
`)
  const prometheus = start('/usr/bin/prometheus', [`--config.file=${system.file('prometheus.yml')}`,
    `--storage.tsdb.path=${system.file('tsdb')}`, `--web.listen-address=127.0.0.1:${port}`], { log: system.file('prometheus.log') })
  try {
    await openai.connect(system.url, await system.customer('scraped')).whole('mock-c5')
    const ask = async query => {
      const answer = await fetch(`http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(query)}`).catch(() => null)
      return answer?.ok ? (await answer.json()).data.result : []
    }
    const [series] = await until(async () => {
      const found = await ask('sluice_requests_total')
      return found.length > 0 && Number(found[0].value[1]) >= 1 && found
    }, 'Prometheus to have the requests', 30_000)
    assert.equal(series.metric.job, 'sluice')
    for (const name of ['sluice_charged_nanos_total', 'sluice_upstream_errors_rate_total', 'sluice_spans_dropped_total',
      'sluice_notices_sent_total', 'sluice_verb_delay_seconds_bucket']) {
      assert.ok((await ask(name)).length > 0, `no ${name}`)
    }
    const [up] = await ask('up{job="sluice"}')
    assert.equal(up.value[1], '1', 'the page is one that Prometheus takes')
  } finally {
    await stop(prometheus)
    await system.stop()
  }
})

describe('spans', () => {
  let system, collector, key
  before(async () => {
    collector = await recorder()
    system = await System.start({ models: ['mock-c5', 'mock-e429'] })
    writeFileSync(system.file('otlp.headers'), 'Authorization: Bearer collector-key\nX-Scope: one\n', { mode: 0o400 })
    await restart(system, `[traces]\nendpoint = "http://127.0.0.1:${collector.port}/"\nheaders_file = "${system.file('otlp.headers')}"`)
    key = await system.customer('traced')
  })
  after(async () => { await system?.stop(); collector?.stop() })

  const spansOf = seen => seen.flatMap(({ body }) => JSON.parse(body).resourceSpans.flatMap(resource =>
    resource.scopeSpans.flatMap(scope => scope.spans)))
  const valueOf = (span, name) => {
    const value = span.attributes.find(each => each.key === name)?.value
    return value && (value.stringValue ?? value.intValue ?? value.boolValue)
  }

  test('one a request, with the numbers of its usage row', async () => {
    let text = ''
    for await (const part of openai.connect(system.url, key).stream('mock-c5')) text += part
    await claude.connect(system.url, key).whole('mock-c5')
    await assert.rejects(openai.connect(system.url, key).whole('mock-e429'))
    const rows = await system.usageOf('traced', 3)
    await until(() => spansOf(collector.seen).length >= 3, 'three spans')
    const spans = spansOf(collector.seen)
    assert.equal(spans.length, 3)
    for (const row of rows) {
      const span = spans.find(each => each.traceId === row.request_id)
      assert.ok(span, `no span of ${row.request_id}`)
      assert.equal(span.name, `chat ${row.model}`)
      assert.equal(valueOf(span, 'gen_ai.provider.name'), row.channel)
      assert.equal(Number(valueOf(span, 'gen_ai.usage.input_tokens')), row.input + row.cache_read + row.cache_write)
      assert.equal(Number(valueOf(span, 'gen_ai.usage.output_tokens')), row.output)
      assert.equal(BigInt(valueOf(span, 'sluice.charged_nanos')), nanos(row.cost_usd))
      assert.equal(valueOf(span, 'sluice.customer'), 'traced')
      assert.ok(BigInt(span.endTimeUnixNano) > BigInt(span.startTimeUnixNano))
      assert.equal(span.status?.code ?? 0, row.model === 'mock-e429' ? 2 : 0)
    }
    const [first] = collector.seen
    assert.equal(first.url, '/v1/traces')
    assert.equal(first.headers['content-type'], 'application/json')
    assert.equal(first.headers.authorization, 'Bearer collector-key')
    assert.equal(first.headers['x-scope'], 'one')
    await until(async () => (await metric(system, 'sluice_spans_sent_total')) === 3, 'the counter of spans')
  })

  test('says what was asked for, by the names of the conventions', async () => {
    const seen = collector.seen.length
    const { raw } = openai.connect(system.url, key)
    await raw.embeddings.create({ model: 'mock-c5', input: ['a', 'b'] })
    await raw.completions.create({ model: 'mock-c5', prompt: 'hello' })
    await raw.responses.create({ model: 'mock-c5', input: 'hello' })
    const gemini = sdks.find(sdk => sdk.name === 'gemini').connect(system.url, key)
    await gemini.whole('mock-c5')
    await until(() => spansOf(collector.seen.slice(seen)).length >= 4, 'four spans')
    const spans = spansOf(collector.seen.slice(seen))
    assert.deepEqual(spans.map(span => span.name).sort(),
      ['chat mock-c5', 'embeddings mock-c5', 'generate_content mock-c5', 'text_completion mock-c5'])
    for (const span of spans) assert.equal(span.name, `${valueOf(span, 'gen_ai.operation.name')} mock-c5`)
  })

  test('a collector that hangs holds up nothing, and what it does not take is counted', async () => {
    const hanging = await recorder(() => new Promise(() => {}))
    await restart(system, `[traces]\nendpoint = "http://127.0.0.1:${hanging.port}"`)
    const client = openai.connect(system.url, key)
    const before_ = (await system.usage('--customer', 'traced')).length
    const began = Date.now()
    for (let i = 0; i < 20; ++i) await client.whole('mock-c5')
    await system.usageOf('traced', before_ + 20)
    assert.ok(Date.now() - began < 5000, 'rows reach the ledger as ever')
    await system.check()
    hanging.stop()
    await until(async () => (await metric(system, 'sluice_spans_dropped_total')) >= 20, 'the drops to be counted', 20_000)
  })

  test('a file of headers that others may read stops the start with one line', async () => {
    writeFileSync(system.file('open.headers'), 'A: b\n', { mode: 0o644 })
    const log = system.file('refused.log')
    await stop(system.reconciler)
    system.writeConfig({ timeouts: `\n[traces]\nendpoint = "http://127.0.0.1:1"\nheaders_file = "${system.file('open.headers')}"` })
    const child = start(program('sluice-reconciler'), ['--config', system.configFile], { log })
    assert.equal((await child.ended).code, 2)
    await restart(system, '')
  })
})

describe('notices', () => {
  let system, hook, mail
  let refuse = 0
  before(async () => {
    // Away at first: a notice is tried again until it is taken.
    hook = await recorder(() => (refuse-- > 0 ? 503 : 204))
    mail = await mailbox()
    system = await System.start({ models: ['mock-c5', 'mock-in10-out60000'] })
    writeFileSync(system.file('hook.secret'), SECRET, { mode: 0o400 })
    writeFileSync(system.file('mail.password'), 'mail-pass\n', { mode: 0o400 })
    await restart(system, `[notices]
webhook_url = "http://127.0.0.1:${hook.port}/hook"
webhook_secret_file = "${system.file('hook.secret')}"
smtp_url = "smtp://127.0.0.1:${mail.port}"
smtp_plain = true
smtp_user = "sluice"
smtp_password_file = "${system.file('mail.password')}"
mail_from = "sluice@example.com"
mail_to = ["ops@example.com", "money@example.com"]
low_balance = "5 USD"`)
  })
  after(async () => { await system?.stop(); hook?.stop(); mail?.server.close() })

  /** As the Standard Webhooks specification has it. */
  function verify({ headers, body }) {
    const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`
    const expected = `v1,${createHmac('sha256', SECRET).update(signed).digest('base64')}`
    assert.equal(headers['webhook-signature'], expected)
    assert.ok(Math.abs(Date.now() / 1000 - Number(headers['webhook-timestamp'])) < 300)
  }
  const taken = () => hook.seen.filter(each => each.status === 204)

  test('a low balance: one webhook that is signed and one mail, however often it is charged', async () => {
    refuse = 2
    const key = await system.customer('poor', { credit: '5.40' })
    const client = openai.connect(system.url, key)
    await client.whole('mock-in10-out60000')  // 0.42003 USD
    await until(() => taken().length === 1 && mail.messages.length === 1, 'the notice', 20_000)
    for (const each of hook.seen) verify(each)
    assert.ok(hook.seen.length >= 3, 'tried again after 503')
    assert.equal(new Set(hook.seen.map(each => each.headers['webhook-id'])).size, 1, 'a repetition has the id of the first')
    const said = JSON.parse(taken()[0].body)
    assert.equal(said.type, 'wallet.low_balance')
    assert.equal(said.customer, 'poor')
    assert.equal(nanos(said.balance_usd), 4_979_970_000n)
    const [message] = mail.messages
    assert.match(message.from, /sluice@example\.com/)
    assert.equal(message.to.length, 2)
    assert.match(message.data, /^Subject: Sluice: wallet\.low_balance$/m)
    assert.match(message.data, /^customer: poor$/m)
    await client.whole('mock-c5')
    await sleep(2500)
    assert.equal(taken().length, 1, 'it is low already')
    await system.cli('credit', 'add', '--customer', 'poor', '--amount', '10')
    await client.whole('mock-c5')
    await sleep(2500)  // balances are looked at once a second
    for (let i = 0; i < 24; ++i) await client.whole('mock-in10-out60000')
    await until(() => taken().length === 2 && mail.messages.length === 2, 'another one after it was filled', 20_000)
    await until(async () => (await metric(system, 'sluice_notices_sent_total')) === 2, 'the counter of notices')
    assert.equal(await metric(system, 'sluice_notices_waiting'), 0)
  })

  test('a budget whose rest pays no request', async () => {
    const seen = taken().length
    const key = await system.customer('tight', { credit: '100', key: { budget_day: '0.6' } })
    const client = openai.connect(system.url, key)
    await client.whole('mock-in10-out60000')
    // What is left is lowered to the last affordable answer first.
    await assert.rejects(async () => { for (let i = 0; i < 5; ++i) await client.whole('mock-in10-out60000') }, error => error.status === 429)
    await until(() => taken().length > seen, 'the notice', 20_000)
    const said = JSON.parse(taken().at(-1).body)
    assert.equal(said.type, 'key.budget_reached')
    assert.equal(said.key, 'main')
    assert.equal(said.window, 'day')
    assert.equal(nanos(said.budget_usd), 600_000_000n)
  })

  test('a notice that waits survives a restart', async () => {
    refuse = 1_000_000
    const seen = taken().length
    const key = await system.customer('late', { credit: '5.20' })
    await openai.connect(system.url, key).whole('mock-in10-out60000')
    await until(() => hook.seen.some(each => each.status === 503 && JSON.parse(each.body).customer === 'late'), 'a first try', 20_000)
    process.kill(system.reconciler.pid, 'SIGKILL')
    await system.reconciler.ended
    refuse = 0
    system.startReconciler()
    await until(() => taken().slice(seen).some(each => JSON.parse(each.body).customer === 'late'), 'the notice', 20_000)
    await system.check()
  })

  test('a channel that stays down and comes back: one notice each, also across a restart', async () => {
    refuse = 0
    const seen = taken().length
    // A notice that was taken just before the kill may come again, by its own id.
    const told = () => [...new Map(taken().slice(seen).map(each => [each.headers['webhook-id'], JSON.parse(each.body)])).values()]
      .filter(each => each.type.startsWith('channel.'))
    let down = false
    const weak = createServer((request, response) => {
      request.resume().on('end', () => {
        const body = down ? { error: { message: 'busy', type: 'server_error' } } : {
          id: 'c1', object: 'chat.completion', model: 'weak', usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
          choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'hello' } }] }
        response.writeHead(down ? 503 : 200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
      })
    })
    await new Promise(done => weak.listen(0, '127.0.0.1', done))
    try {
      await system.apply(`[[provider]]\nname = "weak"\ndialect = "openai"\nbase_url = "http://127.0.0.1:${weak.address().port}/v1"
[[provider.key]]\nname = "main"\nsecret = "sk-weak"\n[[channel]]\nname = "weak"\nprovider = "weak"
[[model]]\nname = "weak"\nroutes = ["weak"]\n[[model.price]]\n${priceToml(PRICE)}`)
      const client = openai.connect(system.url, await system.customer('weak'))
      await client.whole('weak')
      down = true
      const began = Date.now()
      await until(async () => {
        await client.whole('weak').catch(() => {})
        return told().length > 0
      }, 'the channel to be told down', 30_000, 200)
      assert.ok(Date.now() - began > 4000, 'not for what passes at once')
      const [first] = told()
      assert.equal(first.type, 'channel.down')
      assert.equal(first.channel, 'weak')
      assert.equal(first.why, 'overloaded')
      process.kill(system.reconciler.pid, 'SIGKILL')
      await system.reconciler.ended
      system.startReconciler()
      await system.ready()
      await sleep(8000)
      assert.equal(told().length, 1, 'it is down already')
      down = false
      await until(async () => {
        await client.whole('weak').catch(() => {})
        return told().length > 1
      }, 'the channel to be told up', 90_000, 200)
      await sleep(2500)
      assert.deepEqual(told().map(each => each.type), ['channel.down', 'channel.up'])
      await system.check()
    } finally {
      weak.closeAllConnections()
      weak.close()
    }
  })

  test('without a secret nothing starts', async () => {
    writeFileSync(system.file('short.secret'), 'short', { mode: 0o400 })
    await stop(system.reconciler)
    system.writeConfig({ timeouts: `\n[notices]\nwebhook_url = "http://127.0.0.1:1"\nwebhook_secret_file = "${system.file('short.secret')}"` })
    const child = start(program('sluice-reconciler'), ['--config', system.configFile], { log: system.file('refused.log') })
    assert.equal((await child.ended).code, 2)
  })
})
