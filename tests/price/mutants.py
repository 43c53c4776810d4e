#!/usr/bin/env python3
"""Can the property test fail? Each mutant below is one small mistake in a scratch copy of src/price; the
checker must find it within 20,000 cases.

    mutants.py
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMPILER = os.environ.get("CXX", "clang++-19")
FLAGS = ["-std=c++23", "-O1", "-march=x86-64-v3", "-w"]
CASES = 20_000

MUTANTS = [  # (what, file, text, replacement)
    ("rounds down", "cost.cpp", "kDenominator - 1, &sum", "Wide{0}, &sum"),
    ("rounds to the nearest", "cost.cpp", "kDenominator - 1, &sum", "kDenominator / 2, &sum"),
    ("rounds half a nano down", "cost.cpp", "kDenominator - 1, &sum", "kDenominator / 2 - 1, &sum"),
    ("64-bit product of tokens and rate", "cost.cpp", "static_cast<Wide>(tokens) * static_cast<Wide>(rate)",
     "static_cast<Wide>(static_cast<std::uint64_t>(tokens) * static_cast<std::uint64_t>(rate))"),
    ("overflow of 128 bits is not seen", "cost.cpp", "__builtin_mul_overflow(classes, class_factor, &scaled_classes)",
     "(scaled_classes = classes * class_factor, false)"),
    ("2^63 - 1 is refused", "cost.cpp", "if (nanos > static_cast<Wide>", "if (nanos >= static_cast<Wide>"),
    ("fees take the window", "cost.cpp", "kFeeScale * terms.multiplier", "kFeeScale / kOne * window * terms.multiplier"),
    ("fees do not take the group", "cost.cpp", "kFeeScale * terms.multiplier", "kFeeScale * kOne"),
    ("a price that is missing is free", "cost.cpp", "if (rate < 0 || rate > kMaxRate) return false;",
     "if (rate < 0 || rate > kMaxRate) return true;"),
    ("reasoning is billed again", "cost.cpp", "counts.output, rates.output)", "counts.output + counts.reasoning, rates.output)"),
    ("a band begins at its threshold", "row.cpp", "prompt_tokens <= band.above_prompt_tokens",
     "prompt_tokens < band.above_prompt_tokens"),
    ("a window has its last minute twice", "row.cpp", "&&\n        minute < window.end_minute",
     "&& minute <= window.end_minute"),
    ("1970-01-01 was a Friday", "row.cpp", "(day + 3) % 7", "(day + 4) % 7"),
    ("holidays are like other days", "row.cpp", "holiday != 0 && holiday == day", "false"),
    ("margin rounds down", "estimate.cpp", "(in.input_tokens * margin + one - 1) / one", "in.input_tokens * margin / one"),
    ("hold forgets long cache writes", "estimate.cpp", "if (writes == CacheWrites::any)", "if (false)"),
    ("hold looks at one band only", "estimate.cpp", "if (!there || *there > *most) most = there;", "most = there;"),
    ("hold forgets n", "estimate.cpp", "in.output_tokens * static_cast<Tokens>(in.choices);", "in.output_tokens;"),
    ("search stops one token early", "estimate.cpp", "  return low;", "  return low > 0 ? low - 1 : low;"),
    ("partial usage is believed", "charge.cpp", "std::max(counts.output, metered.counted_output)", "counts.output"),
    ("a dead shard's unanswered request pays output", "charge.cpp",
     "if (phase == Phase::sent) return {Basis::prompt_only, kChargeCrash};", ""),
    ("half a request pays", "charge.cpp", "case End::cut:\n      if (phase < Phase::sent) return {};", "case End::cut:\n      if (phase < Phase::sending) return {};"),
    ("broken before output pays", "charge.cpp", "if (phase < Phase::streaming) return {};", "if (phase < Phase::sent) return {};"),
    ("absurd usage becomes a loss", "charge.cpp", "if ((flags & kChargeClamped) != 0)", "if (false)"),
    ("a loss has no end", "charge.cpp", "if (std::max<Nanos>(nanos, 0) - most > kMaxLoss)", "if (false)"),
    ("excess has no end", "charge.cpp", "charge.excess = std::min(above, std::max<Nanos>(excess_max, 0));", "charge.excess = above;"),
    ("charged above the hold", "charge.cpp", "std::min(charge.cost, std::max<Nanos>(hold, 0))", "charge.cost"),
    ("fee of the request is forgotten", "charge.cpp", "row->fees[request] == kNoPrice ? 0 : 1", "0"),
]


def run(*command):
    return subprocess.run(command, capture_output=True, text=True)


def compile_one(source, target, private):
    done = run(COMPILER, *FLAGS, "-I", ROOT / "include", "-I", private, "-I", ROOT / "tests/price", "-c", source, "-o", target)
    if done.returncode != 0:
        sys.exit(f"{source} does not compile:\n{done.stderr}")
    return target


def check(scratch, objects):
    program = scratch / "price_cases"
    linked = run(COMPILER, *objects.values(), "-o", program)
    if linked.returncode != 0:
        sys.exit(linked.stderr)
    return run(ROOT / "tests/price/property_check.py", "--cases", str(CASES), program)


def main():
    with tempfile.TemporaryDirectory() as name:
        scratch = pathlib.Path(name)
        source = scratch / "price"
        shutil.copytree(ROOT / "src/price", source)
        objects = {}
        for path in [*source.glob("*.cpp"), *(ROOT / "src/base" / f"{part}.cpp" for part in ("random", "assert")),
                     *(ROOT / "tests/price" / f"{part}.cpp" for part in ("price_cases", "random_cases"))]:
            objects[path.name] = compile_one(path, scratch / f"{path.stem}.o", source)
        if check(scratch, objects).returncode != 0:
            sys.exit("the unchanged code disagrees: run tests/price/property_check.py")
        survived = []
        for what, file, text, replacement in MUTANTS:
            path = source / file
            original = path.read_text()
            if original.count(text) != 1:
                sys.exit(f"{what}: src/price/{file} does not have this text once: {text}")
            path.write_text(original.replace(text, replacement))
            changed = {**objects, file: compile_one(path, scratch / "mutant.o", source)}
            result = check(scratch, changed)
            path.write_text(original)
            if result.returncode == 0:
                survived.append(what)
        print(f"{len(MUTANTS) - len(survived)} of {len(MUTANTS)} mutants found")
        for what in survived:
            print(f"not found: {what}", file=sys.stderr)
        return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
