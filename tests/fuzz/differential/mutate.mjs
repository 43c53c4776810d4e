// Streams of requests, mutated where servers have disagreed: framing fields, line ends, chunk sizes, first lines. The
// kinds of edits are those of the published desync research (http-garden, smuggler, smugchunks), written anew.
import { loadVectors } from '../../e2e/lib/vectors.mjs'

/** xorshift32: the same streams for the same seed. */
export function draws(seed) {
  let state = (seed ^ 0x9e3779b9) >>> 0 || 1
  return below => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

const JSON_BODY = '{"model":"m","messages":[]}'
const GOOD = [
  'GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n',
  `POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 27\r\n\r\n${JSON_BODY}`,
  `POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1b\r\n${JSON_BODY}\r\n0\r\n\r\n`,
  `POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n3;c="d"\r\nyou\r\n0\r\nX: y\r\n\r\n`,
  `POST /v1/messages HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nX-A: b\r\nContent-Length: 0\r\n\r\n`,
  `POST /v1/chat/completions HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello`,
]
const HOSTILE = loadVectors().map(({ bytes }) => bytes).filter(bytes => bytes.length < 600)
const base = draw => (draw(4) === 0 ? HOSTILE[draw(HOSTILE.length)] : GOOD[draw(GOOD.length)])
const FRAMING = ['Content-Length: 5', 'Content-Length: 27', 'Content-Length: 0', 'Content-Length: 005', 'Transfer-Encoding: chunked',
  'Transfer-Encoding: identity', 'Transfer-Encoding: chunked, chunked', 'Connection: close', 'Connection: Content-Length',
  'Expect: 100-continue', 'Upgrade: h2c', 'Content-Length: +5', 'Transfer-Encoding:chunked', 'Transfer-encoding:\tchunked',
  'Transfer-Encoding: chunked ', 'TE: trailers', 'Trailer: X', 'Host: b', 'X-A:', 'Content-Type: a/b', 'Max-Forwards: 0']
const MARKS = ['\r', '\n', '\r\n', '\t', ' ', '\0', '\x0b', '\x0c', '\x7f', '\x80', '\x85', '\xa0', '\xff', ':', ';', ',', '=', '"', '\\', '+', '-', '_', '0', '0x', 'f', ';a', ';a="', '/', '?', '#', '%00', '@', '*']

export function mutate(text, draw) {
  const at = draw(text.length + 1)
  const mark = MARKS[draw(MARKS.length)]
  switch (draw(12)) {
    case 0: return text.slice(0, at) + mark + text.slice(at)
    case 1: return text.slice(0, at) + mark + text.slice(at + 1)
    case 2: return text.slice(0, at) + text.slice(at + 1 + draw(3))
    case 3: return text.slice(0, at) + text.slice(at, at + draw(30)) + text.slice(at)
    case 4: {  // another field, anywhere among the lines
      const lines = text.split('\r\n')
      lines.splice(1 + draw(Math.min(lines.length, 6)), 0, FRAMING[draw(FRAMING.length)])
      return lines.join('\r\n')
    }
    case 5: {  // a line twice, or gone
      const lines = text.split('\r\n')
      const line = draw(lines.length)
      if (draw(2) === 0) lines.splice(line, 1)
      else lines.splice(line, 0, lines[line])
      return lines.join('\r\n')
    }
    case 6: {  // another number
      const numbers = [...text.matchAll(/[0-9a-f]+(?=\r?\n)/gi)]
      if (numbers.length === 0) return text
      const { index, 0: number } = numbers[draw(numbers.length)]
      const value = parseInt(number, 16) || 0
      const other = [`${value + 1}`, `${Math.max(value - 1, 0)}`, `0${number}`, `${number} `, ` ${number}`, `+${number}`, `0x${number}`, `${number}_0`, (2 ** 32 + value).toString(16),
        `1000000000000000${number}`.slice(-17), `${number};`, `${number};a`][draw(12)]
      return text.slice(0, index) + other + text.slice(index + number.length)
    }
    case 7: {  // one line end of another kind
      const ends = [...text.matchAll(/\r\n/g)]
      if (ends.length === 0) return text
      const { index } = ends[draw(ends.length)]
      return text.slice(0, index) + ['\n', '\r', '\n\r', '\r\r\n', '\r\n ', '\r\n\t', ''][draw(7)] + text.slice(index + 2)
    }
    case 8: {  // letters of a name in the other case, or a mark in it
      const names = [...text.matchAll(/^[A-Za-z-]+(?=:)/gm)]
      if (names.length === 0) return text
      const { index, 0: name } = names[draw(names.length)]
      const place = draw(name.length + 1)
      const other = draw(2) === 0 ? name.toUpperCase() : name.slice(0, place) + mark + name.slice(place)
      return text.slice(0, index) + other + text.slice(index + name.length)
    }
    case 9: return text.replace('HTTP/1.1', ['HTTP/1.0', 'HTTP/1.2', 'HTTP/2.0', 'http/1.1', 'HTTP/1.1 ', 'HTTP/01.1'][draw(6)])
    case 10: return text.replace(/^[A-Z]+/, ['GET', 'HEAD', 'OPTIONS', 'DELETE', 'PUT', 'PATCH', 'get', 'TRACE'][draw(8)])
    default: return base(draw) + text
  }
}

/** A stream with one to three edits; a last request shows whether a server is still in step. */
export function stream(draw) {
  let text = base(draw)
  for (let edits = 1 + draw(3); edits > 0 && text.length < 4000; edits -= 1) text = mutate(text, draw)
  return text + LAST
}
export const LAST = 'GET /last HTTP/1.1\r\nHost: a\r\n\r\n'
