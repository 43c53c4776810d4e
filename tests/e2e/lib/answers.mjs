// Reads the answers of one connection strictly: what a client sees, and whether it ends where it should.

/** Parses whole answers out of `text` (one character a byte). Throws on anything that is no answer. */
export function parseAnswers(text) {
  const answers = []
  let at = 0
  while (at < text.length) {
    const end = text.indexOf('\r\n\r\n', at)
    if (end < 0) break
    const [line, ...fields] = text.slice(at, end).split('\r\n')
    const status = Number(/^HTTP\/1\.1 (\d{3}) [\x20-\x7e]*$/.exec(line)?.[1])
    if (!status) throw new Error(`no status line: ${JSON.stringify(line.slice(0, 100))}`)
    const head = new Map()
    for (const field of fields) {
      const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([^\r\n\0]*)$/.exec(field) ?? []
      if (!name) throw new Error(`no field: ${JSON.stringify(field)}`)
      head.set(name.toLowerCase(), value)
    }
    const body = status < 200 ? { at: end + 4, text: '' } : readBody(text, end + 4, head)
    if (!body) break
    at = body.at
    if (status >= 200) answers.push({ status, head, body: body.text, closes: /close/i.test(head.get('connection') ?? '') })
  }
  return { answers, rest: text.slice(at) }
}

function readBody(text, from, head) {
  if (head.has('content-length')) {
    const at = from + Number(head.get('content-length'))
    return text.length < at ? null : { at, text: text.slice(from, at) }
  }
  if (!/^chunked$/i.test(head.get('transfer-encoding') ?? '')) return { at: from, text: '' }
  let body = ''
  for (let at = from;;) {
    const line = text.indexOf('\r\n', at)
    if (line < 0) return null
    const size = parseInt(text.slice(at, line), 16)
    if (text.length < line + 2 + size + 2) return null
    body += text.slice(line + 2, line + 2 + size)
    at = line + 2 + size + 2
    if (size === 0) return { at, text: body }
  }
}

/**
 * Plays pieces over a socket that is connected, `gapMs` apart, and says what came back:
 * {statuses, end, answers, endMs}. end: 'closed', 'kept' (a question behind all of it is answered, and by one
 * answer), 'silent' (neither within `ms`), 'reset', or 'out of step' (more answers than `count`). endMs: from the
 * last answer to the end of the connection. `question` is a request that is answered with `questionStatus`.
 */
export function play(socket, { pieces, count, gapMs = 2, ms = 5000, question, questionStatus }) {
  return new Promise(resolve => {
    let text = ''
    let asked = false
    let sent = 0
    let timer = null
    let reset = false
    let answeredAt = 0
    const finish = end => {
      if (timer === undefined) return
      clearTimeout(timer)
      timer = undefined
      socket.destroy()
      let parsed
      try {
        parsed = parseAnswers(text)
      } catch (error) {
        return resolve({ statuses: [], end: `bad answer: ${error.message}`, answers: [], endMs: 0 })
      }
      const { answers, rest } = parsed
      const own = asked && end === 'kept' ? answers.slice(0, -1) : answers
      resolve({ statuses: own.map(answer => answer.status), end: rest ? `${end} inside an answer` : end, answers: own,
        endMs: answeredAt && performance.now() - answeredAt, interim: (text.match(/^HTTP\/1\.1 1\d\d /gm) ?? []).length })
    }
    timer = setTimeout(() => finish('silent'), ms)
    const look = () => {
      let answers
      try { ({ answers } = parseAnswers(text)) } catch { return finish('bad') }
      if (answers.length === count && !answeredAt) answeredAt = performance.now()
      if (asked) {
        if (answers.length > count + 1) finish('out of step')
        else if (answers.length === count + 1) finish(answers[count].status === questionStatus ? 'kept' : 'out of step')
      } else if (answers.length >= count && sent === pieces.length && !answers.some(answer => answer.closes)) {
        if (answers.length > count) return finish('out of step')
        asked = true
        socket.write(question, 'latin1')
      }
    }
    const send = () => {
      if (timer === undefined) return
      socket.write(pieces[sent], 'latin1')
      sent += 1
      if (sent < pieces.length) setTimeout(send, gapMs)
      else if (text) look()
    }
    socket.on('data', part => {
      text += part.latin1Slice()
      look()
    })
    socket.on('end', () => finish(reset ? 'reset' : 'closed'))
    socket.on('error', () => { reset = true })
    socket.on('close', () => finish(reset ? 'reset' : 'closed'))
    send()
  })
}

/** Runs `work(item)` for all items, at most `width` at a time. */
export async function inParallel(items, width, work) {
  let next = 0
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, async () => {
    while (next < items.length) await work(items[next++])
  }))
}
