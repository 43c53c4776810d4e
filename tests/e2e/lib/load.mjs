// The programs that make load, and what they saw.
import { readFileSync } from 'node:fs'
import { program } from './paths.mjs'
import { start } from './processes.mjs'

function drive(name, args) {
  const child = start(program(name), args.map(String), { pipe: true })
  let text = ''
  child.stdout.on('data', data => { text += data })
  child.result = child.ended.then(({ code, signal }) => {
    if (code !== 0) throw new Error(`${name} ${args.join(' ')}: ended with ${code ?? signal}: ${text}`)
    return JSON.parse(text)
  })
  return child
}

const options = settings => Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])

/** sluice-load: mode requests or streams; `result` resolves to its figures. */
export const load = (mode, port, settings) => drive('sluice-load', [mode, '--target', `127.0.0.1:${port}`, ...options(settings)])

/** sluice-storm: kind idle, head, body, read or hello; `result` resolves to its counts. */
export const storm = (kind, port, settings) => drive('sluice-storm', [kind, '--target', `127.0.0.1:${port}`, ...options(settings)])

export const rssKib = pid => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1])

/** KiB that the kernel keeps in both directions of the connections with this local or peer's port on this machine. */
export function queuedKib(where, port) {
  const hex = port.toString(16).toUpperCase().padStart(4, '0')
  const column = { local: 1, peer: 2 }[where]
  const rows = readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1).map(row => row.trim().split(/\s+/))
  const queues = rows.filter(row => row[column]?.endsWith(`:${hex}`)).flatMap(row => row[4].split(':'))
  return queues.reduce((sum, queue) => sum + Number.parseInt(queue, 16), 0) / 1024
}
