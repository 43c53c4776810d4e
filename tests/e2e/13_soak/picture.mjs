// Memory over time as SVG: one line a process.
const WIDTH = 800
const HEIGHT = 300
const MARGIN = 50
const COLOURS = ['#1b6ca8', '#c8553d', '#588157', '#8d5a97', '#b08900']

export function picture(samples) {
  const end = Math.max(...samples.map(row => row.seconds))
  const top = Math.max(...samples.map(row => row.kib)) / 1024 * 1.1
  const x = seconds => (MARGIN + seconds / end * (WIDTH - 2 * MARGIN)).toFixed(1)
  const y = mib => (HEIGHT - MARGIN - mib / top * (HEIGHT - 2 * MARGIN)).toFixed(1)
  const names = [...new Set(samples.map(row => row.name))]
  const lines = names.map((name, at) => {
    const points = samples.filter(row => row.name === name).map(row => `${x(row.seconds)},${y(row.kib / 1024)}`).join(' ')
    return `<polyline points="${points}" fill="none" stroke="${COLOURS[at % COLOURS.length]}" stroke-width="1.5"/>
<text x="${MARGIN + 120 * at}" y="20" fill="${COLOURS[at % COLOURS.length]}">${name}</text>`
  })
  const marks = [0, 0.25, 0.5, 0.75, 1].map(part =>
    `<text x="5" y="${y(part * top)}">${(part * top).toFixed(0)} MiB</text><text x="${x(part * end)}" y="${HEIGHT - 25}">${(part * end / 60).toFixed(0)} min</text>`)
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="11">
<rect width="100%" height="100%" fill="white"/>
${lines.join('\n')}
${marks.join('\n')}
</svg>
`
}
