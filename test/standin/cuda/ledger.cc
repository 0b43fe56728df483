#include "ledger.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "memory.h"
#include "standin.h"

namespace standin {
namespace {

const std::map<std::string, int> kModes = {{"devices", 2}, {"dmabuf", 1},      {"peermem", 0},   {"ordering", 0},
                                           {"flush", 1},   {"version", 12080}, {"legacy_ipc", 1}};

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

template <typename Map>
std::string object(const Map& map) {
  std::string out = "{";
  for (const auto& [name, value] : map)
    out += (out.size() > 1 ? ", " : "") + quoted(name) + ": " + std::to_string(value);
  return out + "}";
}

const char* from_environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

void report_at_exit() {
  std::string file = from_environment("WEIGHTCAST_STANDIN_REPORT");
  if (file.empty()) return;
  if (const auto at = file.find("%p"); at != std::string::npos) file.replace(at, 2, std::to_string(getpid()));
  const std::lock_guard lock(Ledger::get().mutex);
  Ledger::get().count_exports();
  std::ofstream(file) << Ledger::get().report() << "\n";
}

}  // namespace

Ledger& Ledger::get() {
  // Never destroyed: driver calls come from threads and destructors until the very end.
  static auto* ledger = new Ledger();
  return *ledger;
}

Ledger::Ledger() : modes_(kModes) {
  std::istringstream modes(from_environment("WEIGHTCAST_STANDIN_MODE"));
  for (std::string each; std::getline(modes, each, ',');) {
    const auto equals = each.find('=');
    if (equals != std::string::npos) set_mode(each.substr(0, equals), std::atoi(each.c_str() + equals + 1));
  }
  const std::string refuse_text = from_environment("WEIGHTCAST_STANDIN_REFUSE");
  const auto equals = refuse_text.find('=');
  if (equals != std::string::npos) {
    const auto at = refuse_text.find('@');
    const int nth = at == std::string::npos ? 0 : std::atoi(refuse_text.c_str() + at + 1);
    refuse(refuse_text.substr(0, equals).c_str(), std::atoi(refuse_text.c_str() + equals + 1), nth);
  }
  (void)std::atexit(report_at_exit);
}

std::optional<Code> Ledger::enter(const char* function) {
  ++calls_[function];
  if (refusal_.has_value() && refusal_->function == function) {
    ++refusal_->seen;
    if (refusal_->nth == 0 || refusal_->nth == refusal_->seen) return refusal_->code;
  }
  if (!initialised && std::strcmp(function, "cuInit") != 0) return Code::kNotInitialized;
  return std::nullopt;
}

Code Ledger::fault(Code code, std::string what) {
  faults_.push_back(std::move(what));
  return code;
}

void Ledger::set_mode(const std::string& name, int value) {
  if (!kModes.contains(name)) {
    faults_.push_back("no mode " + name);
    return;
  }
  modes_[name] = value;
}

void Ledger::refuse(const char* function, int code, int nth) {
  refusal_.reset();
  if (function != nullptr) refusal_ = Refusal{.function = function, .code = static_cast<Code>(code), .nth = nth};
}

void Ledger::reset() {
  modes_ = kModes;
  calls_.clear();
  faults_.clear();
  refusal_.reset();
  unflushed = 0;
}

int Ledger::calls(const std::string& function) const {
  const auto found = calls_.find(function);
  return found == calls_.end() ? 0 : found->second;
}

void Ledger::count_exports() { alive["exports"] = static_cast<int>(open_exports()); }

std::string Ledger::report() const {
  std::string list;
  for (const std::string& fault : faults_) list += (list.empty() ? "" : ", ") + quoted(fault);
  return "{\"alive\": " + object(alive) + ", \"faults\": [" + list + "], \"calls\": " + object(calls_) +
         ", \"unflushed\": " + std::to_string(unflushed) + "}";
}

}  // namespace standin

using standin::Ledger;

extern "C" {
void standin_mode(const char* name, int value) {
  const std::lock_guard lock(Ledger::get().mutex);
  Ledger::get().set_mode(name, value);
}
void standin_refuse(const char* function, int code, int nth) {
  const std::lock_guard lock(Ledger::get().mutex);
  Ledger::get().refuse(function, code, nth);
}
int standin_alive() {
  const std::lock_guard lock(Ledger::get().mutex);
  Ledger::get().count_exports();
  int sum = 0;
  for (const auto& [kind, count] : Ledger::get().alive) sum += count;
  return sum;
}
int standin_faults() {
  const std::lock_guard lock(Ledger::get().mutex);
  return Ledger::get().faults();
}
int standin_calls(const char* function) {
  const std::lock_guard lock(Ledger::get().mutex);
  return Ledger::get().calls(function);
}
std::size_t standin_report(char* into, std::size_t room) {
  const std::lock_guard lock(Ledger::get().mutex);
  Ledger::get().count_exports();
  const std::string text = Ledger::get().report();
  if (room > 0) {
    std::strncpy(into, text.c_str(), room - 1);
    into[room - 1] = '\0';
  }
  return text.size() + 1;
}
void standin_reset() {
  const std::lock_guard lock(Ledger::get().mutex);
  Ledger::get().reset();
}
int standin_has_peer_memory() {
  const std::lock_guard lock(Ledger::get().mutex);
  return Ledger::get().mode("peermem");
}
}
