#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cuda/api.h"

namespace standin {

using weightcast::cuda::Code;

/// What was called, refused and done wrong; and the modes. One a process; its lock guards everything in this library.
class Ledger {
 public:
  static Ledger& get();

  std::recursive_mutex mutex;

  /// At the start of each driver call: what it shall return instead of working, if anything.
  std::optional<Code> enter(const char* function);
  Code fault(Code code, std::string what);
  [[nodiscard]] int mode(const std::string& name) const { return modes_.at(name); }

  void set_mode(const std::string& name, int value);
  void refuse(const char* function, int code, int nth);
  void reset();
  [[nodiscard]] int calls(const std::string& function) const;
  [[nodiscard]] int faults() const { return static_cast<int>(faults_.size()); }
  [[nodiscard]] std::string report() const;

  /// Things alive, by kind.
  std::map<std::string, int> alive;
  bool initialised = false;
  int unflushed = 0;
  /// Things of a kind that is counted only when somebody asks.
  void count_exports();

 private:
  Ledger();

  struct Refusal {
    std::string function;
    Code code;
    int nth;
    int seen = 0;
  };
  std::map<std::string, int> modes_;
  std::map<std::string, int> calls_;
  std::vector<std::string> faults_;
  std::optional<Refusal> refusal_;
};

}  // namespace standin

/// Begins a driver call: takes the lock, counts it, and returns what it is told to.
#define STANDIN_ENTER(name)                                         \
  const std::lock_guard standin_lock(standin::Ledger::get().mutex); \
  if (const auto standin_code = standin::Ledger::get().enter(name)) return *standin_code
