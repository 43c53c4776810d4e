// The stand-in and what its recorder saw.
import { request } from 'node:http'
import { program } from './paths.mjs'
import { start, stop, until } from './processes.mjs'

export class Mock {
  static async start({ log, args = [] } = {}) {
    const mock = new Mock()
    mock.child = start(program('sluice-mock'), ['--listen', '127.0.0.1:0', '--control', '127.0.0.1:0',
      '--keep-bodies', '65536', '--keep-heads', ...args], { log, pipe: true })
    let line = ''
    mock.child.stdout.on('data', bytes => { line += bytes })
    await until(() => line.includes('\n') || mock.child.exitCode !== null, 'the stand-in')
    if (!line) throw new Error('sluice-mock did not start')
    const where = JSON.parse(line)
    mock.port = Number(where.http[0].split(':').pop())
    mock.tlsPort = Number(where.https[0]?.split(':').pop())  // with --listen-tls only
    mock.controlPort = Number(where.control[0].split(':').pop())
    return mock
  }

  ask(method, path) {
    return new Promise((resolve, reject) => {
      const ask = request({ host: '127.0.0.1', port: this.controlPort, method, path }, answer => {
        let text = ''
        answer.on('data', part => { text += part })
        answer.on('end', () => resolve(JSON.parse(text)))
      })
      ask.on('error', reject)
      ask.end()
    })
  }

  recorder(query = '') { return this.ask('GET', `/recorder${query}`) }
  release(n) { return this.ask('POST', n === undefined ? '/release' : `/release?n=${n}`) }

  /** Remembers where the recorder stands: `since()` then gives the records that came after. */
  async mark() { this.last = (await this.recorder('?limit=0')).last_number }
  async since() { return (await this.recorder(`?since=${this.last}`)).records }

  /** The records since the mark, when there are `count` of them and nothing is open. */
  records(count) {
    return until(async () => {
      const seen = await this.recorder(`?since=${this.last}`)
      return seen.records.length >= count && seen.open === 0 && seen.records
    }, `${count} records of the stand-in`)
  }

  stop() { return stop(this.child) }
}

/** Body of a record as the stand-in received it. */
export const bodyOf = record => Buffer.from(record.body_base64 ?? '', 'base64').toString('utf8')
