// Trouble that lasts is said once when it begins and once when it ends.
#pragma once

#include <string>
#include <string_view>

#include "sluice/base/log.hpp"

namespace sluice::reconcile {

class Episode {
 public:
  void begin(const std::string& text) {
    if (!lasts_) log_line(LogLevel::error, "reconcile", text);
    lasts_ = true;
  }
  void end(std::string_view text) {
    if (lasts_) log_line(LogLevel::info, "reconcile", text);
    lasts_ = false;
  }

 private:
  bool lasts_ = false;
};

}  // namespace sluice::reconcile
