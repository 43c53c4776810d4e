// A private authority and certificates of it, made with the openssl command in a scratch directory.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { scratchDirectory } from './system.mjs'

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']

export class Authority {
  constructor(name) {
    this.directory = scratchDirectory()
    this.openssl('req', '-x509', ...KEY, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', `/CN=${name}`,
      '-addext', 'keyUsage=critical,keyCertSign')
    this.file = join(this.directory, 'ca.pem')
    this.pem = readFileSync(this.file, 'utf8')
  }

  openssl(...args) { execFileSync('openssl', args, { cwd: this.directory, stdio: 'pipe' }) }

  /** Paths of a certificate for these names ("DNS:localhost,IP:127.0.0.1") and of its key. */
  issue(name, names) {
    const at = suffix => join(this.directory, `${name}.${suffix}`)
    writeFileSync(at('ext'), `subjectAltName=${names}\n`)
    this.openssl('req', ...KEY, '-keyout', at('key'), '-out', at('csr'), '-subj', `/CN=${name}`)
    this.openssl('x509', '-req', '-in', at('csr'), '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2',
      '-extfile', at('ext'), '-out', at('pem'))
    return { certificate: at('pem'), key: at('key') }
  }
}
