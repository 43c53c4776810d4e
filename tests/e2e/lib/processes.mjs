// Child processes of a test: started here, ended here, whatever happens to the test.
import { spawn } from 'node:child_process'
import { openSync, closeSync, readFileSync, readdirSync } from 'node:fs'
import { createServer } from 'node:net'

const running = new Set()

/** Starts a program with its output appended to `log`. `ended` resolves to {code, signal}. */
export function start(path, args, { log, env, pipe = false } = {}) {
  const out = openSync(log ?? '/dev/null', 'a')
  const child = spawn(path, args, { stdio: ['ignore', pipe ? 'pipe' : out, out], env: { ...process.env, ...env } })
  closeSync(out)
  running.add(child)
  child.ended = new Promise(resolve => {
    child.on('error', error => resolve({ code: -1, signal: null, error }))
    // With a pipe: when its last word has been read, too.
    child.on(pipe ? 'close' : 'exit', (code, signal) => {
      running.delete(child)
      resolve({ code, signal })
    })
  })
  return child
}

/** Ends a child in order, by force after `ms`. */
export async function stop(child, ms = 8000) {
  if (!child || child.exitCode !== null || child.signalCode !== null) return child?.ended
  child.kill('SIGTERM')
  const force = setTimeout(() => child.kill('SIGKILL'), ms)
  const how = await child.ended
  clearTimeout(force)
  return how
}

process.on('exit', () => {
  for (const child of running) {
    for (const pid of [...descendants(child.pid), child.pid]) {
      try { process.kill(pid, 'SIGKILL') } catch { /* has ended */ }
    }
  }
})
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => process.exit(130))

/** Processes that `pid` started, and theirs. */
export function descendants(pid) {
  const found = []
  let tasks = []
  try { tasks = readdirSync(`/proc/${pid}/task`) } catch { return found }
  for (const task of tasks) {
    let text = ''
    try { text = readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8') } catch { continue }
    for (const child of text.trim().split(' ').filter(Boolean)) found.push(Number(child), ...descendants(Number(child)))
  }
  return found
}

/** Below the ports that the kernel gives to outgoing connections: one of those could take a probed port first. */
const belowEphemeral = () => Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s+/)[0])

/** Can `port` of 127.0.0.1 be listened on? */
function isFree(port) {
  return new Promise(resolve => {
    const probe = createServer()
    probe.on('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
  })
}

/** A port of 127.0.0.1 that nobody listens on now, and that no outgoing connection will be given. */
export async function freePort() {
  const lowest = 10_000
  for (let attempt = 0; attempt < 1000; ++attempt) {
    const port = lowest + Math.floor(Math.random() * (belowEphemeral() - lowest))
    if (await isFree(port)) return port
  }
  throw new Error('no free port on 127.0.0.1')
}

export const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

/** Asks `probe` until it gives something truthy, and returns that. */
export async function until(probe, what, ms = 10_000, step = 10) {
  const deadline = Date.now() + ms
  for (;;) {
    const found = await probe()
    if (found) return found
    if (Date.now() > deadline) throw new Error(`waited ${ms} ms for ${what}`)
    await sleep(step)
  }
}

/** CLOCK_MONOTONIC in nanoseconds, the clock of the stand-in's records. */
export const monotonic = () => Number(process.hrtime.bigint())
