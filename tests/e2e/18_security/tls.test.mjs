// What the edge offers by TLS, asked by openssl's client, and with --long by testssl.sh.
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { after, before, describe, test } from 'node:test'
import { Authority } from '../lib/certificates.mjs'
import { long } from '../lib/paths.mjs'
import { freePort } from '../lib/processes.mjs'
import { System } from '../lib/system.mjs'

const TLS_1_2 = ['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-CHACHA20-POLY1305']
const TLS_1_3 = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256']
// What a private authority has not: a chain that browsers know, OCSP, a CAA record; and a name that is in DNS. Of the
// program itself: what its openssl cannot do.
const NOT_OURS = /^(engine_problem|cert_chain_of_trust|cert_trust|OCSP|cert_revocation|cert_ocsp|cert_mustStaple|DNS_CAArecord|cert_crl|overall_grade|grade_cap)/i

describe('TLS as others see it', () => {
  let system, authority, port

  before(async () => {
    authority = new Authority('sluice tls')
    const own = authority.issue('edge', 'DNS:localhost,IP:127.0.0.1', { options: ['-days', '90'] })
    port = await freePort()
    system = await System.start({
      models: ['mock-c5'],
      config: {
        edge: 'shards = 1',
        listener: `[[edge.listener]]\naddress = "127.0.0.1:${port}"\ncertificate_file = "${own.certificate}"\nkey_file = "${own.key}"`,
      },
    })
  })
  after(() => system?.stop())

  /** openssl's client: whether it shook hands, and what it says. */
  function client(args, { input = '' } = {}) {
    const run = spawnSync('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, '-servername', 'localhost', '-CAfile', authority.file, ...args],
      { input, encoding: 'utf8', timeout: 10_000 })
    const text = run.stdout + run.stderr
    return { shaken: /Cipher is (?!\(NONE\))/.test(run.stdout), text, code: run.status }
  }

  test('1.2 and 1.3, nothing older', () => {
    for (const old of ['-tls1', '-tls1_1']) assert.equal(client([old, '-cipher', 'ALL:@SECLEVEL=0']).shaken, false, old)
    for (const now of ['-tls1_2', '-tls1_3']) assert.equal(client([now, '-verify_return_error']).shaken, true, now)
  })

  test('forward secrecy and AEAD only', () => {
    const all = execFileSync('openssl', ['ciphers', '-s', '-tls1_2', 'ALL:COMPLEMENTOFALL:@SECLEVEL=0'], { encoding: 'utf8' }).trim().split(':')
    assert.ok(all.length > 50, 'openssl offers many')
    const taken = all.filter(cipher => !cipher.startsWith('TLS_') && client(['-tls1_2', '-cipher', `${cipher}:@SECLEVEL=0`]).shaken)
    assert.deepEqual(taken.sort(), [...TLS_1_2].sort())
    const modern = [...TLS_1_3, 'TLS_AES_128_CCM_SHA256', 'TLS_AES_128_CCM_8_SHA256'].filter(suite => client(['-tls1_3', '-ciphersuites', suite]).shaken)
    assert.deepEqual(modern, TLS_1_3)
  })

  test('X25519, P-256 and P-384; no others', () => {
    for (const version of ['-tls1_2', '-tls1_3']) assert.match(client([version]).text, /Server Temp Key: X25519/)
    const taken = ['X25519', 'P-256', 'P-384', 'P-521', 'X448', 'ffdhe2048'].filter(group => client(['-tls1_3', '-groups', group]).shaken)
    assert.deepEqual(taken, ['X25519', 'P-256', 'P-384'])
  })

  test('no compression, no early data, no renegotiation', () => {
    for (const version of ['-tls1_2', '-tls1_3']) assert.match(client([version, '-comp']).text, /Compression: NONE/)
    assert.match(client(['-tls1_3'], { input: '' }).text, /Max Early Data: 0|Early data was not sent/)
    assert.doesNotMatch(client(['-tls1_3']).text, /Max Early Data: [1-9]/)
    const again = client(['-tls1_2', '-legacy_server_connect'], { input: 'R\n' })
    assert.match(again.text, /RENEGOTIATING/)
    assert.doesNotMatch(again.text, /verify return:1[^]*RENEGOTIATING[^]*verify return:1/, 'a second handshake')
    assert.notEqual(again.code, 0)
  })

  test('no client certificate is asked for, and http/1.1 is the only protocol', () => {
    assert.match(client(['-tls1_3']).text, /No client certificate CA names sent/)
    assert.match(client(['-alpn', 'h2,http/1.1']).text, /ALPN protocol: http\/1\.1/)
    assert.equal(client(['-alpn', 'h2']).shaken, false)
  })

  test('answers over TLS tell a browser to stay with it, others do not', async () => {
    const headers = (get, options) => new Promise((resolve, reject) => {
      get({ host: '127.0.0.1', path: '/', ...options }, answer => { answer.resume(); resolve(answer.headers) }).on('error', reject)
    })
    const secure = await headers(https.get, { port, ca: readFileSync(authority.file) })
    assert.equal(secure['strict-transport-security'], `max-age=${365 * 86400}`)
    assert.equal(secure['x-content-type-options'], 'nosniff')
    const plain = await headers(http.get, { port: system.port })
    assert.ok(!('strict-transport-security' in plain))
  })

  test('testssl.sh finds nothing of LOW or above', { skip: !long && 'with --long', timeout: 600_000 }, context => {
    const report = system.file('testssl.json')
    const run = spawnSync('testssl', ['--quiet', '--color', '0', '--warnings', 'off', '--ip', '127.0.0.1', '--add-ca', authority.file,
      '--jsonfile', report, `localhost:${port}`], { encoding: 'utf8', timeout: 580_000 })
    const findings = JSON.parse(readFileSync(report, 'utf8'))
    assert.ok(findings.length > 80, `it has looked: ${findings.length} findings, ${run.stderr}`)
    assert.equal(findings.find(finding => finding.id === 'TLS1_3')?.severity, 'OK')
    const bad = findings.filter(({ id, severity }) => ['LOW', 'MEDIUM', 'HIGH', 'CRITICAL', 'WARN', 'FATAL'].includes(severity) && !NOT_OURS.test(id))
    context.diagnostic(`${findings.length} findings; grade ${findings.find(finding => finding.id === 'overall_grade')?.finding}`)
    assert.deepEqual(bad.map(({ id, severity, finding }) => `${severity} ${id}: ${finding}`), [])
  })
})
