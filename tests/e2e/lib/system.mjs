// A whole Sluice on one host: ledger, reconciler, edge, and the stand-in as its provider.
import { execFile } from 'node:child_process'
import { mkdtempSync, mkdirSync, rmSync, writeFileSync, readFileSync, existsSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Mock } from './mock.mjs'
import { program } from './paths.mjs'
import { descendants, freePort, start, stop, until } from './processes.mjs'
import { nanos, PRICE, priceToml } from './price.mjs'

const scratch = new Set()
process.on('exit', () => {
  for (const directory of scratch) rmSync(directory, { recursive: true, force: true })
})

/** A directory of this test run that goes away with it. */
export function scratchDirectory(parent = tmpdir()) {
  const directory = mkdtempSync(join(parent, 'sluice-e2e-'))
  scratch.add(directory)
  return directory
}

export class System {
  /**
   * models: names to publish, each on all three providers; see src/app/mock/README.md for what they do.
   * config: TOML text by section, e.g. {edge: 'shards = 2', limits: 'body = "64KiB"'}.
   * channels: more providers and channels as TOML; routes: channels of a model, where not the three.
   */
  static async start({ models = [], config = {}, channels = '', routes = {}, mockArgs = [], edge = true } = {}) {
    const system = new System()
    system.directory = scratchDirectory()
    system.state = scratchDirectory(existsSync('/dev/shm') ? '/dev/shm' : tmpdir())
    rmSync(system.state, { recursive: true })  // the reconciler makes it
    try {
      system.mock = await Mock.start({ log: system.file('mock.log'), args: mockArgs })
      system.port = await freePort()
      system.metricsPort = await freePort()
      system.writeConfig(config)
      system.startReconciler()
      await system.apply(system.catalogToml(models, channels, routes))
      if (edge) await system.startEdge()
      await system.mock.mark()
    } catch (error) {
      const logs = system.logs()
      await system.stop()
      error.message += `\n${logs}`
      throw error
    }
    return system
  }

  file(name) { return join(this.directory, name) }
  get configFile() { return this.file('sluice.toml') }
  get url() { return `http://127.0.0.1:${this.port}` }

  writeConfig(config = {}) {
    const here = this.directory
    mkdirSync(this.file('secrets'), { recursive: true, mode: 0o700 })
    writeFileSync(this.configFile, `
node = 1
allow_private = ["127.0.0.0/8"]
[edge]
metrics_address = "127.0.0.1:${this.metricsPort}"
${config.edge ?? 'shards = 1'}
[[edge.listener]]
address = "127.0.0.1:${this.port}"
${config.listener ?? ''}
[state]
directory = "${config.stateDirectory ?? this.state}"
${config.state ?? 'map = "64MiB"'}
[ledger]
database = "${here}/ledger.db"
records_directory = "${here}/records"
${config.ledger ?? ''}
[secrets]
pepper_file = "${here}/secrets/pepper"
sealing_key_file = "${here}/secrets/sealing.key"
sealing_public_file = "${here}/secrets/sealing.pub"
[limits]
${/connections_per_address/.test(config.limits) ? '' : 'connections_per_address = 0'}
${config.limits ?? ''}
[timeouts]
${/probe_interval/.test(config.timeouts) ? '' : 'probe_interval = "0"'}
${config.timeouts ?? ''}
`)
  }

  /** Three providers, one a dialect, all of them the stand-in; each model on all three. */
  catalogToml(models, channels, routes) {
    const at = `http://127.0.0.1:${this.mock.port}`
    const providers = [['openai', '/v1'], ['claude', ''], ['gemini', '/v1beta']].map(([dialect, path]) => `
[[provider]]
name = "${dialect}"
dialect = "${dialect}"
base_url = "${at}${path}"
[[provider.key]]
name = "main"
secret = "sk-upstream-${dialect}"
[[channel]]
name = "${dialect}"
provider = "${dialect}"
`).join('')
    return providers + channels + models.map(model => `
[[model]]
name = "${model}"
routes = ${JSON.stringify(routes[model] ?? ['openai', 'claude', 'gemini'])}
max_output_tokens = 65536
[[model.price]]
${priceToml(PRICE)}
`).join('')
  }

  /** Runs `sluice` with --json; the parsed answer, or an Error with its one line. */
  cli(...args) { return this.cliWithin(60_000, ...args) }

  /** The same with `ms` of time. */
  cliWithin(ms, ...args) {
    return new Promise((resolve, reject) => {
      execFile(program('sluice'), ['--config', this.configFile, ...args, '--json'], { timeout: ms, maxBuffer: 1 << 28 },
        (error, out, err) => {
          if (!error) return resolve(out.trim() ? JSON.parse(out) : null)
          const problem = new Error(`sluice ${args.join(' ')}: exit ${error.code}: ${err.trim()}`)
          problem.code = error.code
          problem.stderr = err
          problem.stdout = out
          reject(problem)
        })
    })
  }

  async apply(toml) {
    const file = this.file('apply.toml')
    writeFileSync(file, toml)
    return this.cli('apply', file)
  }

  /** A customer with credit and one key; returns the key. Settings (`own` are the customer's) as in `sluice apply`. */
  async customer(name, { credit = '100', key = {}, own = {} } = {}) {
    const toml = settings => Object.entries(settings).map(([option, value]) => `${option} = ${JSON.stringify(value)}\n`).join('')
    const report = await this.apply(`[[customer]]\nname = "${name}"\n${toml(own)}[[customer.key]]\nname = "main"\n${toml(key)}`)
    if (Number(credit) > 0) await this.cli('credit', 'add', '--customer', name, '--amount', credit)
    return report.changes.find(change => change.noun === 'key').key
  }

  startReconciler() {
    this.reconciler = start(program('sluice-reconciler'), ['--config', this.configFile], { log: this.file('reconciler.log') })
  }

  spawnEdge() {
    this.edge = start(this.edgeProgram ?? program('sluice-edge'), ['--config', this.configFile], { log: this.file('edge.log') })
  }

  async startEdge() {
    this.spawnEdge()
    await this.listening()
    await this.ready()
  }

  /** Waits until a shard serves. */
  ready(ms = 10_000) {
    return until(async () => {
      if (this.edge.exitCode !== null) throw new Error(`sluice-edge ended with ${this.edge.exitCode}`)
      if (this.reconciler.exitCode !== null) throw new Error(`sluice-reconciler ended with ${this.reconciler.exitCode}`)
      const page = await fetch(`http://127.0.0.1:${this.metricsPort}/readyz`).catch(() => null)
      await page?.arrayBuffer()
      return page?.status === 200
    }, 'the edge to be ready', ms)
  }

  /** Waits until the edge takes connections. */
  listening(ms = 10_000) {
    return until(() => new Promise((resolve, reject) => {
      if (this.edge.exitCode !== null) return reject(new Error(`sluice-edge ended with ${this.edge.exitCode}`))
      const probe = connect(this.port, '127.0.0.1', () => { probe.destroy(); resolve(true) })
      probe.on('error', () => resolve(false))
    }), 'the edge to listen', ms)
  }

  shards() { return descendants(this.edge.pid) }

  /** Usage rows, oldest first. */
  async usage(...filter) {
    const rows = await this.cli('usage', 'list', '--limit', '10000000', ...filter)
    return rows.reverse()
  }

  /** Usage rows of a customer when there are `count` of them. */
  usageOf(customer, count) {
    return until(async () => {
      const rows = await this.usage('--customer', customer)
      return rows.length >= count && rows
    }, `${count} usage rows of ${customer}`)
  }

  /** A wallet as shared state has it now, in nanos. */
  async wallet(customer) {
    const shown = await this.cli('wallet', 'show', customer)
    if (!shown.live) throw new Error('no reconciler answers')
    return Object.fromEntries(['available', 'held', 'charged', 'excess'].map(name => [name, nanos(shown[`${name}_usd`])]))
  }

  /** The auditor: throws what it found unless the invariants hold. */
  check(ms = 60_000) { return this.cliWithin(ms, 'check') }

  logs() {
    return ['mock.log', 'reconciler.log', 'edge.log'].map(name => {
      const file = this.file(name)
      return existsSync(file) ? `--- ${name}\n${readFileSync(file, 'utf8').slice(-4000)}` : ''
    }).join('')
  }

  async stop() {
    await stop(this.edge)
    await stop(this.reconciler)
    await this.mock?.stop()
    for (const directory of [this.directory, this.state]) {
      rmSync(directory, { recursive: true, force: true })
      scratch.delete(directory)
    }
  }
}
