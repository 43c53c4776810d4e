// A private authority and certificates of it, made with the openssl command in a scratch directory.
import { execFileSync } from 'node:child_process'
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
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

  /**
   * Paths of a certificate for these names ("DNS:localhost,IP:127.0.0.1"; null: none but the common name) and of its
   * key. `options` go to `openssl x509`; `issuer` names another certificate of this authority.
   */
  issue(name, names, { options = ['-days', '2'], issuer = 'ca' } = {}) {
    const at = suffix => join(this.directory, `${name}.${suffix}`)
    writeFileSync(at('ext'), names === null ? 'basicConstraints=CA:FALSE\n' : `subjectAltName=${names}\n`)
    this.openssl('req', ...KEY, '-keyout', at('key'), '-out', at('csr'), '-subj', `/CN=${names === null ? 'localhost' : name}`)
    this.openssl('x509', '-req', '-in', at('csr'), '-CA', `${issuer}.pem`, '-CAkey', `${issuer}.key`, '-CAcreateserial',
      '-extfile', at('ext'), '-out', at('pem'), ...options)
    if (issuer !== 'ca') appendFileSync(at('pem'), readFileSync(join(this.directory, `${issuer}.pem`)))
    return { certificate: at('pem'), key: at('key') }
  }
}
