// Where the programs, the SDKs and the scratch directory are.
import { existsSync, readdirSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..')
export const build = process.env.SLUICE_BUILD ?? join(root, 'build/release')
export const long = process.env.SLUICE_E2E_LONG === '1'

/** The packages are installed outside tests/ (see tests/e2e/run). */
export const require = createRequire(join(root, 'build/e2e/package.json'))

const programs = new Map()
function find(directory) {
  for (const name of readdirSync(directory)) {
    const path = join(directory, name)
    if (statSync(path).isDirectory()) {
      if (!name.endsWith('.p')) find(path)
    } else if (name.startsWith('sluice')) {
      programs.set(name, path)
    }
  }
}

/** Path of a built program: sluice, sluice-edge, sluice-reconciler, sluice-mock, sluice-load. */
export function program(name) {
  if (programs.size === 0) for (const at of ['src/app', 'bench/load']) if (existsSync(join(build, at))) find(join(build, at))
  const path = programs.get(name)
  if (!path) throw new Error(`${name} is not built in ${build}`)
  return path
}
