// Memory of a GPU for other processes, with the stand-in: what is exported, imported and refused. From one process to
// another it goes in test/integration/engine.
#include <gtest/gtest.h>

#include <span>
#include <vector>

#include "cuda/ipc.h"
#include "support/standin.h"

namespace weightcast::test {
namespace {

using weightcast::Code;

const cuda::CudaRegion& of_cuda(const memory::RegionPtr& region) {
  return dynamic_cast<const cuda::CudaRegion&>(*region);
}

class CudaIpcTest : public StandinTest {
 protected:
  static memory::RegionPtr filled(std::uint64_t bytes) {
    auto region = cuda::allocate(0, bytes);
    EXPECT_TRUE(region.ok()) << region.status().message;
    const std::vector<std::byte> content = expected(bytes);
    auto stream = region.value()->on_device()->device()->open_stream();
    EXPECT_TRUE(stream.ok());
    EXPECT_TRUE(stream.value()->to_device(region.value()->data(), content.data(), bytes).ok());
    auto ticket = stream.value()->mark();
    EXPECT_TRUE(ticket.ok() && stream.value()->wait(ticket.value()).ok());
    return region.value();
  }
  static std::vector<std::byte> expected(std::uint64_t bytes) {
    std::vector<std::byte> content(bytes);
    for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<std::byte>(i * 167 >> 4U);
    return content;
  }
};

TEST_F(CudaIpcTest, AHandleCannotBeOpenedByTheProcessThatMadeIt) {
  const auto memory = filled(4 << 20);
  auto exported = cuda::export_memory(of_cuda(memory));
  ASSERT_TRUE(exported.ok()) << exported.status().message;
  ASSERT_TRUE(exported.value().handle.has_value());
  const auto opened = cuda::import_allocation(0, *exported.value().handle, memory->size(), true, nullptr);
  EXPECT_EQ(opened.status().code, Code::kInvalidArgument);
  EXPECT_NE(opened.status().message.find("this very process"), std::string::npos) << opened.status().message;
}

TEST_F(CudaIpcTest, ChunksOfAMappingAreMappedAgainInTheirOrder) {
  const Chunks chunks(driver_, 3);
  auto region = cuda::adopt(chunks.base(), chunks.bytes(), true);
  ASSERT_TRUE(region.ok()) << region.status().message;
  const auto content = expected(chunks.bytes());
  {
    auto stream = region.value()->on_device()->device()->open_stream();
    ASSERT_TRUE(stream.ok());
    ASSERT_TRUE(stream.value()->to_device(region.value()->data(), content.data(), content.size()).ok());
  }
  auto exported = cuda::export_memory(of_cuda(region.value()));
  ASSERT_TRUE(exported.ok()) << exported.status().message;
  ASSERT_EQ(exported.value().chunks.size(), 3U);
  auto imported = cuda::import_chunks(0, exported.value().chunks, false, nullptr);
  ASSERT_TRUE(imported.ok()) << imported.status().message;
  EXPECT_NE(imported.value()->address(), chunks.base());
  EXPECT_FALSE(imported.value()->writable());
  std::vector<std::byte> back(content.size());
  ASSERT_TRUE(imported.value()->copy_out(0, std::span(back)).ok());
  EXPECT_EQ(back, content);
}

TEST_F(CudaIpcTest, EveryCallThatIsRefusedIsSaidAndNothingStays) {
  const Chunks chunks(driver_, 2);
  auto region = cuda::adopt(chunks.base(), chunks.bytes(), true);
  ASSERT_TRUE(region.ok()) << region.status().message;
  const int before = STANDIN(standin_alive)();
  const auto use = [&]() -> Status {
    auto exported = cuda::export_memory(of_cuda(region.value()));
    if (!exported.ok()) return exported.status();
    auto imported = cuda::import_chunks(1, exported.value().chunks, true, nullptr);
    return imported.ok() ? Status::success() : imported.status();
  };
  for (const char* call : {"cuMemRetainAllocationHandle", "cuMemExportToShareableHandle",
                           "cuMemImportFromShareableHandle", "cuMemAddressReserve", "cuMemMap", "cuMemSetAccess"}) {
    STANDIN(standin_refuse)(call, static_cast<int>(cuda::Code::kNotPermitted), 1);
    const Status status = use();
    EXPECT_EQ(status.code, Code::kDevice) << call;
    EXPECT_EQ(status.call, call) << status.message;
    STANDIN(standin_refuse)(nullptr, 0, 0);
    EXPECT_EQ(STANDIN(standin_alive)(), before) << call << standin_report_text();
  }
  EXPECT_TRUE(use().ok());
}

}  // namespace
}  // namespace weightcast::test
