// SLUICE_CRASH_AT=n: the n-th time that this process passes a crash point, it dies as by kill -9.
// The fault tests raise n until a run finishes without dying, and so visit every commit, submit and
// rename.
#pragma once

namespace sluice {

/// Called before and after each step whose loss must be harmless. One relaxed load when the
/// variable is unset.
void crash_point() noexcept;

/// Crash points passed so far (only counted while SLUICE_CRASH_AT is set).
[[nodiscard]] unsigned long crash_points_passed() noexcept;

/// What is done at each crash point instead, for the simulator, which decides by itself who dies
/// where. Null = nothing.
using CrashHook = void (*)() noexcept;
void set_crash_hook(CrashHook at_point) noexcept;

}  // namespace sluice
