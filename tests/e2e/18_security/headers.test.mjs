// What of a client's request reaches the provider, what of the provider's answer reaches the client, and that neither
// can choose where the other's bytes go.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { PRICE, priceToml } from '../lib/price.mjs'
import { chat, exchange, post } from '../lib/raw.mjs'
import { Stub } from '../lib/stub.mjs'
import { System } from '../lib/system.mjs'

const PATH = '/v1/chat/completions'
const ANSWER = '{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2}}'
const TO_PROVIDER = ['host', 'authorization', 'content-type', 'accept', 'user-agent', 'anthropic-version', 'anthropic-beta', 'openai-beta',
  'accept-encoding', 'content-length']
const PROXIES = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'all_proxy']

/** Names and values of a head, names in lower case. */
const fields = head => head.split('\r\n').slice(1).filter(Boolean).map(line => {
  const colon = line.indexOf(':')
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
})
const names = head => fields(head).map(([name]) => name)

describe('allow-lists of header fields', () => {
  let system, stub, elsewhere, key

  before(async () => {
    stub = await Stub.start()
    elsewhere = await Stub.start()
    stub.play = socket => socket.write(`HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${ANSWER.length}\r\n\r\n${ANSWER}`)
    for (const name of PROXIES) process.env[name] = `http://127.0.0.1:${elsewhere.port}`
    system = await System.start({ models: ['mock-c5'], config: { edge: 'shards = 1' } })
    await system.apply(['openai', 'gemini'].map(dialect => `
[[provider]]
name = "stub-${dialect}"
dialect = "${dialect}"
base_url = "http://127.0.0.1:${stub.port}"
auth = "bearer"
[[provider.key]]
name = "main"
secret = "sk-of-the-operator"
[[channel]]
name = "stub-${dialect}"
provider = "stub-${dialect}"
[[model]]
name = "m-${dialect}"
routes = ["stub-${dialect}"]
[[model.price]]
${priceToml(PRICE)}`).join(''))
    key = await system.customer('headers')
  })
  after(async () => {
    for (const name of PROXIES) delete process.env[name]
    await system?.stop()
    stub?.stop()
    elsewhere?.stop()
  })

  const heads = () => stub.connections.flatMap(connection => connection.requests.map(request => request.head))
  const lastHead = () => heads().at(-1)
  const answering = (extra, body = ANSWER) => socket =>
    socket.write(`HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n${extra}Content-Length: ${body.length}\r\n\r\n${body}`)

  test('of a request only what the provider needs goes on; the key is ours', async () => {
    const answer = await exchange(system.port, post(PATH, chat('m-openai'), {
      key,
      headers: {
        Cookie: 'session=1', 'X-Forwarded-For': '10.0.0.1', Forwarded: 'for=10.0.0.1', 'X-Forwarded-Host': 'evil', 'X-Real-IP': '10.0.0.1',
        Via: '1.1 other', 'Proxy-Authorization': 'Basic eA==', 'Proxy-Connection': 'keep-alive', Te: 'trailers', 'X-Named': 'by connection',
        Connection: 'keep-alive, x-named, user-agent', 'User-Agent': 'hop by hop', 'OpenAI-Organization': 'org-of-somebody', 'X-Goog-Api-Key': 'other',
        Origin: 'http://evil', Referer: 'http://evil', Range: 'bytes=0-1', 'If-None-Match': '*', 'Accept-Encoding': 'br',
        'X-HTTP-Method-Override': 'DELETE', 'OpenAI-Beta': 'assistants=v2', Accept: 'text/plain',
      },
    }))
    assert.equal(answer.status, 200)
    const got = names(lastHead())
    assert.deepEqual(got.filter(name => !TO_PROVIDER.includes(name)), [])
    assert.equal(new Set(got).size, got.length, 'each once')
    const value = Object.fromEntries(fields(lastHead()))
    assert.equal(value.authorization, 'Bearer sk-of-the-operator')
    assert.equal(value.host, `127.0.0.1:${stub.port}`)
    assert.equal(value['accept-encoding'], 'identity')
    assert.equal(value['openai-beta'], 'assistants=v2')
    assert.ok(!('user-agent' in value), 'Connection named it')
    assert.ok(!lastHead().includes(key))
  })

  test('of an answer neither cookies nor what tells of the operator\'s account', async () => {
    stub.play = answering(['Set-Cookie: __cf_bm=1', 'openai-organization: org-of-the-operator', 'x-ratelimit-remaining-requests: 3', 'cf-ray: 1',
      'anthropic-organization-id: org', 'Server: secret/1.0', 'Via: 1.1 inside', 'X-Request-Id: theirs', 'WWW-Authenticate: Basic', 'Alt-Svc: h3=":443"',
      'Strict-Transport-Security: max-age=1', 'Access-Control-Allow-Origin: *', 'Location: http://169.254.169.254/', 'openai-version: 2020-10-01',
      'Connection: keep-alive, openai-version', ''].join('\r\n'))
    const answer = await exchange(system.port, post(PATH, chat('m-openai'), { key }))
    assert.equal(answer.status, 200)
    const head = answer.text.slice(0, answer.text.indexOf('\r\n\r\n'))
    const value = Object.fromEntries(fields(head))
    for (const name of ['set-cookie', 'openai-organization', 'x-ratelimit-remaining-requests', 'cf-ray', 'anthropic-organization-id', 'server', 'via',
      'www-authenticate', 'alt-svc', 'location', 'access-control-allow-origin']) assert.ok(!(name in value), name)
    assert.match(value['x-request-id'], /^[0-9a-f]{32}$/)
    assert.doesNotMatch(head, /operator|theirs|secret/)
  })

  test('a model\'s name and a query cannot make a second line', async () => {
    stub.play = answering('')
    const before = heads().length
    for (const model of ['m-openai\\r\\nX-Evil: 1', 'm-openai\\u0000', 'm-openai\\nGET / HTTP/1.1']) {
      const answer = await exchange(system.port, post(PATH, `{"model":"${model}","messages":[]}`, { key }))
      assert.ok([400, 404].includes(answer.status), `${model}: ${answer.status}`)
    }
    assert.equal(heads().length, before)
    await exchange(system.port, post('/v1beta/models/m-gemini:generateContent?alt=json%0d%0aX-Evil:%201&x=%0aY', '{"contents":[]}', { key }))
    await exchange(system.port, post('/v1beta/models/m-gemini%0d%0aX-Evil:%201:generateContent', '{"contents":[]}', { key }))
    for (const head of heads().slice(before)) assert.ok(!/^x-evil/im.test(head), head)
    const named = await exchange(system.port, post(PATH, chat('m-openai'), { key, headers: { 'X-Request-Id': 'mine"}<script>' } }))
    assert.match(Object.fromEntries(fields(named.text.slice(0, named.text.indexOf('\r\n\r\n'))))['x-request-id'], /^[0-9a-f]{32}$/)
  })

  test('a body, a Host and the environment cannot choose another upstream', async () => {
    const other = `http://127.0.0.1:${elsewhere.port}`
    const before = heads().length
    const more = { api_base: other, base_url: other, api_key: 'sk-x', api_type: 'azure', custom_llm_provider: 'x', callback_url: other, webhook_url: other }
    assert.equal((await exchange(system.port, post(PATH, chat('m-openai', more), { key }))).status, 200)
    assert.equal((await exchange(system.port, post(PATH, chat('m-openai'), { key, headers: { 'X-Portkey-Custom-Host': other, 'Helicone-Target-Url': other } }))).status, 200)
    const absolute = await exchange(system.port, post(`${other}${PATH}`, chat('m-openai'), { key }))
    assert.equal(absolute.status, 400)
    assert.equal(heads().length, before + 2)
    assert.equal(elsewhere.connections.length, 0, 'nobody asked there, the proxies of the environment neither')
    for (const head of heads().slice(before)) assert.ok(head.includes('Bearer sk-of-the-operator'))
  })
})
