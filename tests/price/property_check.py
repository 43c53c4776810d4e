#!/usr/bin/env python3
"""Money against integers of unlimited length: recomputes what tests/price/price_cases says.

    property_check.py [--cases N] [--seed S] [--jobs J] [--first GROUP] PRICE_CASES

Everything here is written from the rules (design.md §3.1 and §12, row 5 of state-machine.md, the
comments of include/sluice/price) and not from src/price: exact integers, one division, no widths.
A disagreement is printed with the command that repeats it. The words of a group and their order
are those of price_cases.cpp.
"""
import argparse
import collections
import datetime
import itertools
import multiprocessing
import struct
import subprocess
import sys
import time

CASES = 8  # of one row
ROW, CASE, BOUND = 79, 54, 44
GROUP = struct.Struct(f"<{ROW + CASES * CASE + BOUND}q")

MAX_NANOS = 2**63 - 1
MAX_RATE = 10**15
MAX_TOKENS = 10**9
MAX_CALLS = 10**5
MAX_MULTIPLIER = 10**6
MAX_LOSS = 100 * 10**9
DAY_NS = 86_400 * 10**9
FIRST_DAY = datetime.date(1970, 1, 1).toordinal()

OK, BAD_VALUE, NOT_FOUND, TOO_LARGE = range(4)
REFUSED, NO_CANDIDATE, FINISHED, CLIENT_LEFT, UPSTREAM_BROKE, CUT, SHARD_DIED, EXPIRED = range(8)
RESERVED, SENDING, SENT, STREAMING, FINAL = range(5)
USAGE_NONE, USAGE_PARTIAL, USAGE_FINAL = range(3)
ESTIMATED, PARTIAL, CRASH, CLAMPED, EXCESS, LOSS, PRICE_MISSING, VOID = (1 << i for i in range(8))


# What the cases must have visited, or they prove little: fractions of a nano, the end of the range, every
# flag, every end in every phase, and rows outside their base rates.
EDGES = {0: "whole", 10**9: "just above a nano", 5 * 10**14 - 10**9: "just below half", 5 * 10**14: "half",
         5 * 10**14 + 10**9: "just above half", 10**15 - 10**9: "just below a nano"}
reached = collections.Counter()


def visited():
    wanted = {*EDGES.values(), "above 2^63 - 1", "2^63 - 1", "product above 2^127", "product below 2^127",
              "in a band", "in a window", "absurd usage", *range(8),
              *((end, phase) for end in range(8) for phase in range(5))}
    return {name for name in wanted if reached[name] == 0}


class Row:
    """One price row. A rate outside 0 … MAX_RATE is no price."""

    def __init__(self, w):
        self.damaged = w[0] == 4
        # Rates as (above so many prompt tokens, input, read, write short, write long, output).
        self.bands = [(0, *w[1:6])]
        for at in range(6, 24, 6):
            if w[at] > 0:
                self.bands.append(w[at:at + 6])
        windows = [w[at:at + 4] for at in range(24, 40, 4)]
        self.windows = list(itertools.takewhile(lambda window: window[0] > 0, windows))
        self.packed = not any(window[0] for window in windows[len(self.windows):])
        self.holidays = {day for day in w[40:64] if day > 0}
        self.tiers = w[64:68]
        self.fees = w[68:74]
        self.margin, self.context, self.hidden, self.tokens_per_s, self.valid = w[74:79]

    def publishable(self):
        """May this row be published: every rate given, free only where it says so (it never does)."""
        by_call = any(fee > 0 for fee in self.fees)
        for band in self.bands:
            if not all(0 <= rate <= MAX_RATE for rate in band[1:]):
                return False
            if not by_call and not any(band[1:]):
                return False
        if any(not -1 <= fee <= MAX_RATE for fee in self.fees):
            return False
        if self.tiers[0] == 0 or any(tier > MAX_MULTIPLIER for tier in self.tiers):
            return False
        return self.packed and all(window[0] <= MAX_MULTIPLIER for window in self.windows)

    def rates(self, prompt):
        """Of the whole request: the highest band whose threshold the prompt exceeds."""
        band = [band for band in self.bands if band[0] == 0 or prompt > band[0]][-1]
        reached["in a band"] += band[0] > 0
        return band[1:]

    def window(self, at_ns):
        """Thousandths: of the first window that contains the moment, 1000 outside of all."""
        if not self.windows:
            return 1000
        day, in_day = divmod(at_ns, DAY_NS)
        if day in self.holidays:
            return 1000
        minute = in_day // (60 * 10**9)
        weekday = datetime.date.fromordinal(FIRST_DAY + day).weekday()
        for multiplier, start, end, weekdays in self.windows:
            if weekdays & 1 << weekday and start <= minute < end:
                reached["in a window"] += 1
                return multiplier
        return 1000


def ceil_div(numerator, denominator):
    whole, rest = divmod(numerator, denominator)
    return whole + (rest > 0)


def cost(row, rates, terms, tokens, calls):
    """(code, nanos): tokens of five classes at their rates a million × tier × window, calls × fee, all
    × the customer group, rounded up once. `tokens` has reasoning last: counted, never billed."""
    at_ns, group, tier = terms
    if min(tokens) < 0 or max(tokens) > MAX_TOKENS or max(calls) > MAX_CALLS:
        return BAD_VALUE, 0
    if not 1 <= group <= MAX_MULTIPLIER or tier > 3:
        return BAD_VALUE, 0
    sold = row.tiers[tier]
    if sold == 0:
        return NOT_FOUND, 0
    window = row.window(at_ns)
    if sold > MAX_MULTIPLIER or window > MAX_MULTIPLIER:
        return BAD_VALUE, 0
    millionths = 0
    for count, rate in zip(tokens, rates):
        if count:
            if not 0 <= rate <= MAX_RATE:
                return NOT_FOUND, 0
            millionths += count * rate
    fees = 0
    for count, fee in zip(calls, row.fees):
        if count:
            if not 0 <= fee <= MAX_RATE:
                return NOT_FOUND, 0
            fees += count * fee
    exact = millionths * sold * window + fees * 10**12  # 10^-12 of a nano, before the group
    whole, rest = divmod(exact * group, 10**15)
    nanos = whole + (rest > 0)
    reached[EDGES.get(rest)] += 1
    if nanos > MAX_NANOS:
        reached["above 2^63 - 1"] += 1
        reached["product above 2^127" if whole >= 2**127 // 10**15 else "product below 2^127"] += 1
        return TOO_LARGE, 0
    reached["2^63 - 1"] += nanos == MAX_NANOS
    return OK, nanos


def split(nanos, hold, excess_max):
    """(cost, charged, excess, loss, flags)"""
    nanos, hold, excess_max = max(nanos, 0), max(hold, 0), max(excess_max, 0)
    charged = min(nanos, hold)
    excess = min(nanos - charged, excess_max)
    loss = nanos - charged - excess
    return nanos, charged, excess, loss, (EXCESS if excess else 0) | (LOSS if loss else 0)


def is_void(end, phase):
    """Ends that are charged nothing, by how far the request came with the provider."""
    if end in (REFUSED, NO_CANDIDATE, EXPIRED):
        return True
    if end == UPSTREAM_BROKE:
        return phase < STREAMING  # nothing delivered
    if end in (CLIENT_LEFT, CUT, SHARD_DIED):
        return phase < SENT  # not fully sent
    return False


def charge(row, terms, end, phase, state, estimate, counted, tokens, calls, hold, excess_max):
    """What price::charge must say: (cost, charged, excess, loss, flags, tokens and calls billed…)."""
    if is_void(end, phase):
        return 0, 0, 0, 0, VOID, *[0] * 12
    flags = 0
    if state == USAGE_NONE:
        tokens, calls = [estimate, 0, 0, 0, counted, 0], [0] * 6
    else:
        tokens, calls = list(tokens), list(calls)
        if state == USAGE_PARTIAL:
            tokens[4] = max(tokens[4], counted)
    if state != USAGE_FINAL:
        flags |= ESTIMATED
    if end == UPSTREAM_BROKE:
        flags |= PARTIAL
    if end == SHARD_DIED and phase != FINAL:
        flags |= CRASH
        if phase == SENT:  # input alone
            tokens[4] = tokens[5] = 0
    seen = tokens + calls
    tokens = [min(max(count, 0), MAX_TOKENS) for count in tokens]
    calls = [min(count, MAX_CALLS) for count in calls]
    if tokens + calls != seen:
        flags |= CLAMPED
    nanos = hold
    if row is None:
        flags |= PRICE_MISSING
    else:
        calls[0] = 0 if row.fees[0] == -1 else 1
        code, exact = cost(row, row.rates(sum(tokens[:4])), terms, tokens, calls)
        if code == OK:
            nanos = exact
        elif code == TOO_LARGE:
            nanos = MAX_NANOS
            flags |= CLAMPED
        else:
            flags |= PRICE_MISSING
    most = min(max(hold, 0) + max(excess_max, 0), MAX_NANOS)
    if nanos - most > MAX_LOSS:
        flags |= CLAMPED
    if flags & CLAMPED:
        nanos = min(nanos, most)
    parts = split(nanos, hold, excess_max)
    return *parts[:4], parts[4] | flags, *tokens, *calls


def input_bound(row, tokens, flat, whole_context):
    """(code, tokens)"""
    if not 0 <= tokens <= MAX_TOKENS or not 0 <= flat <= MAX_TOKENS:
        return BAD_VALUE, 0
    bound = ceil_div(tokens * row.margin, 1000) + flat
    if whole_context:
        if row.context == 0:
            return NOT_FOUND, 0
        bound = max(bound, row.context)
    return (OK, bound) if bound <= MAX_TOKENS else (BAD_VALUE, 0)


def hold_for(row, terms, tokens, flat, output, choices, writes, whole_context, calls):
    """(code, nanos) of the hold: the prompt's bound at the dearest class it may fall in, in the dearest
    band that the bound reaches; output × choices; the calls allowed, and the fee of the request."""
    code, bound = input_bound(row, tokens, flat, whole_context)
    if code != OK:
        return code, 0
    if not 0 <= output <= MAX_TOKENS or choices == 0 or output * choices > MAX_TOKENS:
        return BAD_VALUE, 0
    counts = (bound, 0, 0, 0, output * choices, 0)
    calls = (0 if row.fees[0] == -1 else 1, *calls[1:])
    most = 0
    for band in row.bands:
        if band[0] and bound <= band[0]:
            break
        if band[1] < 0:
            return NOT_FOUND, 0
        code, nanos = cost(row, (max(band[1:3 + writes]), 0, 0, 0, band[5]), terms, counts, calls)
        if code != OK:
            return code, 0
        most = max(most, nanos)
    return OK, most


class Disagreement(Exception):
    pass


def expect(what, got, want, *inputs):
    if got != want:
        raise Disagreement(f"{what}: production {got}, exact {want}, of {inputs}")


def check_case(row, w):
    terms, tokens, calls = w[0:3], w[3:9], w[9:15]
    expect("cost", w[15:17], cost(row, row.rates(sum(tokens[:4])), terms, tokens, calls), w[0:15])
    end, phase, state, estimate, counted, has_row, hold, excess_max = w[17:25]
    said = w[25:42]
    reached[end, phase] += 1
    for bit in range(8):
        reached[bit] += said[4] >> bit & 1
    reached["absurd usage"] += min(tokens) < 0
    expect("charge", said,
           charge(row if has_row else None, terms, end, phase, state, estimate, counted, tokens, calls,
                  hold, excess_max), w[0:15], w[17:25])
    if min(said[:4]) < 0 or said[0] != sum(said[1:4]) or said[1] > max(hold, 0) or said[2] > max(excess_max, 0):
        raise Disagreement(f"charge: {said} is not a split of its cost over {hold} and {excess_max}")
    prompt, output = w[42:44]
    expect("output_cost", w[44:46],
           cost(row, row.rates(prompt), terms, (0, 0, 0, 0, output, 0), (0,) * 6), terms, w[42:44])
    expect("split", w[47:52], split(w[46], hold, excess_max), w[46], hold, excess_max)
    hidden = min(ceil_div(w[52] * row.tokens_per_s, 10**9), MAX_TOKENS) if row.hidden else 0
    expect("hidden_tokens", w[53], hidden, row.tokens_per_s, w[52])


def check_bound(row, w):
    terms, ask, calls = w[0:3], w[3:9], w[9:15]
    tokens, flat, output, choices, writes, whole_context = ask
    expect("input_bound", w[15:17], input_bound(row, tokens, flat, whole_context), row.margin, ask)
    def hold(out):
        return hold_for(row, terms, tokens, flat, out, choices, writes, whole_context, calls)
    code, nanos = hold(output)
    expect("estimate", w[17:19], (code, nanos), terms, ask, calls)
    balance, paid_code, paid = w[19:22]
    expect("affordable_output", paid_code, code, terms, ask, calls, balance)
    if code == OK:
        if not 0 <= paid <= output or (paid > 0 and hold(paid)[1] > balance):
            raise Disagreement(f"affordable_output: {paid} of {output} is more than {balance} pays")
        if paid < output and hold(paid + 1)[1] <= balance:
            raise Disagreement(f"affordable_output: {paid} of {output}, and {balance} pays for one more")
        within, within_code, within_nanos = w[22:34], w[34], w[35]
        if not row.damaged and (within_code != OK or within_nanos > nanos):
            raise Disagreement(f"estimate: {nanos} is below a usage within it: {within_nanos} for {within}")
    check_slice(row, terms, *w[36:44])


def check_slice(row, terms, standard, floor, remaining, balance, prompt, code, tokens, nanos):
    rates = row.rates(prompt)
    def price(count):
        return cost(row, rates, terms, (0, 0, 0, 0, count, 0), (0,) * 6)
    most = min(standard, remaining) if remaining else standard
    least = min(floor, most)
    whole = price(most)
    expect("next_slice", code, whole[0], terms, standard, floor, remaining, balance, prompt)
    if code != OK:
        return
    if price(least)[1] > balance:
        expect("next_slice", (tokens, nanos), (0, 0), terms, standard, floor, remaining, balance)
        return
    right = least <= tokens <= most and (OK, nanos) == price(tokens) and nanos <= balance
    if not right or (tokens < most and price(tokens + 1)[1] <= balance):
        raise Disagreement(f"next_slice: {tokens} tokens for {nanos} of {balance}, {least} … {most}")


def check_group(words):
    row = Row(words[:ROW])
    expect("validate", row.valid, int(row.publishable()), words[:ROW])
    for at in range(ROW, ROW + CASES * CASE, CASE):
        check_case(row, words[at:at + CASE])
    check_bound(row, words[ROW + CASES * CASE:])


def check_range(program, seed, first, groups):
    """The groups of one process: what is wrong (or None), and what was reached."""
    with subprocess.Popen([program, str(seed), str(first), str(groups)], stdout=subprocess.PIPE,
                          bufsize=1 << 20) as child:
        for group in range(first, first + groups):
            data = child.stdout.read(GROUP.size)
            if len(data) != GROUP.size:
                return f"{program} ended at group {group}", reached
            try:
                check_group(GROUP.unpack(data))
            except Disagreement as wrong:
                child.kill()
                again = f"property_check.py --seed {seed} --first {group} --cases {CASES} {program}"
                return f"{wrong}\nagain: {again}", reached
        if child.stdout.read(1) or child.wait() != 0:
            return f"{program} did not end in order", reached
    return None, reached


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("program")
    ask = parser.parse_args()
    groups = (ask.cases + CASES - 1) // CASES
    jobs = max(1, min(ask.jobs, groups))
    ranges = [(ask.first + groups * i // jobs, ask.first + groups * (i + 1) // jobs) for i in range(jobs)]
    begin = time.monotonic()
    with multiprocessing.Pool(jobs) as pool:
        results = pool.starmap(check_range, [(ask.program, ask.seed, low, high - low) for low, high in ranges])
    wrong = [line for line, _ in results if line]
    for _, counts in results:
        reached.update(counts)
    if not wrong and ask.cases >= 100_000 and visited():
        wrong.append(f"never reached: {sorted(map(str, visited()))}")
    for line in wrong:
        print(line, file=sys.stderr)
    took = time.monotonic() - begin
    print(f"{groups * CASES} cases of {groups} price rows, seed {ask.seed}: "
          f"{'disagreement' if wrong else 'equal to the nano'}, {took:.1f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
