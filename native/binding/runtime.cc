#include "binding/runtime.h"

#include <utility>

namespace weightcast::binding {

void Runtime::drop(std::shared_ptr<const void> owner) {
  if (owner == nullptr) return;
  executor_.submit([owner = std::move(owner)] {});
}

void Runtime::watch(const std::shared_ptr<Ongoing>& ongoing) {
  std::erase_if(ongoing_, [](const std::weak_ptr<Ongoing>& other) { return other.expired(); });
  ongoing_.push_back(ongoing);
}

void Runtime::shut_down() {
  std::vector<std::shared_ptr<Ongoing>> running;
  for (const std::weak_ptr<Ongoing>& weak : ongoing_) {
    if (std::shared_ptr<Ongoing> strong = weak.lock()) running.push_back(std::move(strong));
  }
  ongoing_.clear();
  for (const auto& one : running) one->cancel();
  executor_.stop();
  for (const auto& one : running) one->join();
  settler_->close();
}

}  // namespace weightcast::binding
