// What a request must cost, computed here from the price list and the stand-in's record: whole numbers only,
// rounded up once a request.

/** USD per million tokens. Distinct figures, so that classes cannot be mistaken for each other. */
export const PRICE = { input: '3.00', output: '7.00', cache_read: '0.50', cache_write_short: '4.00', cache_write_long: '6.00' }

export const priceToml = price => Object.entries(price).map(([name, usd]) => `${name} = "${usd}"`).join('\n')

/** "1.25" or "-0.5" USD → nanos. */
export function nanos(usd) {
  const [, sign, whole, part = ''] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(String(usd))
  const amount = BigInt(whole) * 1_000_000_000n + BigInt(part.padEnd(9, '0'))
  return sign ? -amount : amount
}

/** Nanos → USD text with nine decimals. */
export const usd = amount => `${amount / 1_000_000_000n}.${String(amount % 1_000_000_000n).padStart(9, '0')}`

/** Cost in nanos of claimed usage {input, cache_read, cache_write, output}. */
export function cost(usage, price = PRICE) {
  const sum = BigInt(usage.input) * nanos(price.input) + BigInt(usage.output) * nanos(price.output) +
    BigInt(usage.cache_read ?? 0) * nanos(price.cache_read) +
    BigInt(usage.cache_write ?? 0) * nanos(price.cache_write_short)
  return (sum + 999_999n) / 1_000_000n
}

/** What a usage row took from the wallet, excess included. */
export const paid = row => nanos(row.cost_usd)

/** Cost by a usage row's own token counts. */
export const costOfRow = row => cost(row)
