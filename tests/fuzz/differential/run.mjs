// Our parser beside nginx, node and HAProxy on mutated streams. Each of them sits in front of one witness that says what
// request it was handed. Wrong is: we take a request whose first line or body another one reads differently, or we have
// used up the stream and it has seen more requests, or fewer bytes of a body.
//   node run.mjs SECONDS SEED PARSER      (tools/fuzz --differential SECONDS [SEED])
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { inParallel, parseAnswers } from '../../e2e/lib/answers.mjs'
import { freePort, start, stop, until } from '../../e2e/lib/processes.mjs'
import { draws, stream } from './mutate.mjs'

const BATCH = 400
const WIDTH = 64
const SILENCE_MS = 400
const [seconds, seed, parser] = [Number(process.argv[2]), Number(process.argv[3]), process.argv[4]]
const scratch = mkdtempSync(join(tmpdir(), 'sluice-differential-'))
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }))

/** Answers every request with what it was: method, target, body. */
function witness() {
  const server = createServer({ keepAliveTimeout: 60_000, requestTimeout: 2000, headersTimeout: 2000 }, (request, answer) => {
    const parts = []
    request.on('data', part => parts.push(part))
    request.on('end', () => {
      const body = Buffer.concat(parts)
      const text = JSON.stringify([request.method, request.url, body.length, body.toString('hex')])
      answer.writeHead(200, { 'content-type': 'application/json', 'content-length': text.length, 'x-witness': '1' })
      answer.end(request.method === 'HEAD' ? undefined : text)
    })
    request.on('error', () => {})
  })
  server.on('clientError', (_, socket) => socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'))
  return new Promise(done => server.listen(0, '127.0.0.1', () => done(server)))
}

const listens = port => until(() => new Promise(resolve => {
  const probe = connect(port, '127.0.0.1', () => { probe.destroy(); resolve(true) })
  probe.on('error', () => resolve(false))
}), `a server on port ${port}`)

async function startNginx(backend) {
  const port = await freePort()
  writeFileSync(join(scratch, 'nginx.conf'), `
daemon off; master_process off; pid ${scratch}/nginx.pid; error_log ${scratch}/nginx.log;
events { worker_connections 1024; }
http {
  access_log off; client_body_temp_path ${scratch}/b; proxy_temp_path ${scratch}/p; fastcgi_temp_path ${scratch}/f;
  uwsgi_temp_path ${scratch}/u; scgi_temp_path ${scratch}/s;
  upstream witness { server 127.0.0.1:${backend}; keepalive 64; }
  server {
    listen 127.0.0.1:${port}; client_max_body_size 64m; client_body_timeout 1s; client_header_timeout 1s; merge_slashes off;
    location / { proxy_pass http://witness; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_ignore_client_abort on; }
  }
}`)
  const child = start('/usr/sbin/nginx', ['-c', join(scratch, 'nginx.conf'), '-e', join(scratch, 'nginx.log')])
  await listens(port)
  return { name: 'nginx', port, child }
}

async function startHaproxy(backend) {
  const port = await freePort()
  writeFileSync(join(scratch, 'haproxy.cfg'), `
global
  maxconn 4000
  nbthread 1
defaults
  mode http
  timeout client 1s
  timeout server 5s
  timeout connect 2s
  timeout http-request 1s
  option http-buffer-request
frontend in
  bind 127.0.0.1:${port}
  default_backend witness
backend witness
  http-reuse always
  server one 127.0.0.1:${backend}
`)
  const child = start('/usr/sbin/haproxy', ['-db', '-f', join(scratch, 'haproxy.cfg')])
  await listens(port)
  return { name: 'haproxy', port, child }
}

/** What a server made of a stream: what reached the witness, in order; null where something was refused. */
function play(port, text) {
  return new Promise(resolve => {
    let bytes = ''
    let timer
    const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
    const finish = () => {
      clearTimeout(timer)
      socket.destroy()
      resolve(requestsIn(bytes))
    }
    timer = setTimeout(finish, SILENCE_MS)
    socket.on('connect', () => socket.end(text, 'latin1'))
    socket.on('data', part => { bytes += part.latin1Slice() })
    socket.on('error', finish)
    socket.on('close', finish)
    socket.on('end', finish)
  })
}

function requestsIn(bytes) {
  try {
    const requests = parseAnswers(bytes).answers.map(answer => (answer.head.has('x-witness') ? JSON.parse(answer.body) : null))
    while (requests.at(-1) === null) requests.pop()
    return requests
  } catch {
    return null  // an answer to HEAD, or in a form that cannot be read: nothing to compare
  }
}

/** Our parser: a process that reads streams and writes outcomes. */
function startOurs() {
  const child = spawn(parser, [], { stdio: ['pipe', 'pipe', 'inherit'] })
  const waiting = []
  createInterface({ input: child.stdout }).on('line', line => waiting.shift()(line))
  return {
    child,
    ask: text => new Promise(resolve => {
      waiting.push(line => {
        const [outcome, bodies = ''] = line.split('\t')
        const parts = outcome.split(/(?<= bytes); /)
        const end = parts.at(-1)
        const requests = parts.slice(0, -1).map(part => {
          const [, method, target, size] = /^(\S+) (\S*)(?: \(100-continue\))? (\d+) bytes$/.exec(part)
          return { method, target, size: Number(size) }
        })
        resolve({ requests, end, bodies, outcome })
      })
      child.stdin.write(`${Buffer.byteLength(text, 'latin1')}\n`)
      child.stdin.write(text, 'latin1')
    }),
  }
}

/** Why the two readings cannot both be served behind one another, or nothing. */
function disagreement(ours, theirs) {
  let hex = 0
  for (let i = 0; i < Math.min(ours.requests.length, theirs.length); i += 1) {
    const mine = ours.requests[i]
    if (theirs[i] === null) {
      hex += mine.size * 2
      continue
    }
    const [method, target, size, body] = theirs[i]
    if (mine.method !== method) return `request ${i}: ${mine.method}, not ${method}`
    if (mine.target !== target) return `request ${i}: ${mine.target}, not ${target}`
    if (mine.size !== size) return `request ${i}: ${mine.size} bytes, not ${size}`
    if (ours.bodies.slice(hex, hex + size * 2) !== body) return `request ${i}: another body`
    hex += size * 2
  }
  // All of it used up and nothing wrong found: who sees more requests sees them in our bodies.
  const usedUp = ours.end === 'idle' || ours.end.includes('waits for its')
  return usedUp && theirs.length > ours.requests.length ? `${theirs.length} requests, not ${ours.requests.length}` : ''
}

const back = await witness()
const servers = [
  { name: 'node', port: back.address().port },
  await startNginx(back.address().port),
  await startHaproxy(back.address().port),
]
const ours = startOurs()
const draw = draws(seed)
const counts = Object.fromEntries(servers.map(({ name }) => [name, { both: 0, weAlone: 0, theyAlone: 0, wrong: 0 }]))
let streams = 0
let taken = 0
const found = new Map()
const deadline = Date.now() + seconds * 1000
while (Date.now() < deadline) {
  const texts = Array.from({ length: BATCH }, () => stream(draw))
  await inParallel(texts, WIDTH, async text => {
    const mine = await ours.ask(text)
    streams += 1
    if (mine.requests.length > 0) taken += 1
    await Promise.all(servers.map(async ({ name, port }) => {
      const theirs = await play(port, text)
      if (!theirs || mine.requests.some(({ method }) => method === 'HEAD')) return
      const why = disagreement(mine, theirs)
      const count = counts[name]
      if (why) {
        count.wrong += 1
        if (!found.has(`${name} ${why}`)) found.set(`${name} ${why}`, { text, outcome: mine.outcome, theirs })
      } else if (mine.requests.length > theirs.length) count.weAlone += 1
      else if (mine.requests.length < theirs.length) count.theyAlone += 1
      else count.both += 1
    }))
  })
}
ours.child.kill()
for (const { child } of servers) await stop(child)
back.closeAllConnections()
back.close()
for (const [why, { text, outcome, theirs }] of [...found].slice(0, 20)) {
  console.log(`DISAGREEMENT ${why}\n  stream ${JSON.stringify(text)}\n  ours   ${outcome}\n  theirs ${JSON.stringify(theirs.map(request => request?.slice(0, 3)))}`)
}
console.log(`seed ${seed}: ${streams} streams, ${taken} with a request that we take`)
for (const [name, { both, weAlone, theyAlone, wrong }] of Object.entries(counts)) {
  console.log(`${name.padEnd(8)} same ${both}, we take more ${weAlone}, it takes more ${theyAlone}, disagree ${wrong}`)
}
process.exit(found.size > 0 ? 1 : 0)
