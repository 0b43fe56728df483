#include <gtest/gtest.h>
#include <infiniband/verbs.h>

#include <vector>

#include "verbs/gid.h"

namespace weightcast::verbs {
namespace {

const std::string kIpv4 = "00:00:00:00:00:00:00:00:00:00:ff:ff:0a:4d:00:01";
const std::string kLinkLocal = "fe:80:00:00:00:00:00:00:d4:b3:4f:ff:fe:d3:9d:2a";
const std::string kGlobal = "20:01:0d:b8:00:00:00:00:00:00:00:00:00:00:00:01";

GidEntry entry(int index, const std::string& gid, const std::string& type = "RoCE v2",
               const std::string& netdev = "eth0") {
  return {.index = static_cast<std::uint8_t>(index), .gid = gid, .type = type, .netdev = netdev};
}

TEST(Gid, TextGoesBothWays) {
  for (const std::string& text : {kIpv4, kLinkLocal, kGlobal}) {
    auto gid = parse_gid(text);
    ASSERT_TRUE(gid.ok()) << gid.status().message;
    EXPECT_EQ(format_gid(gid.value()), text);
  }
  auto upper = parse_gid("FE:80:00:00:00:00:00:00:D4:B3:4F:FF:FE:D3:9D:2A");
  ASSERT_TRUE(upper.ok());
  EXPECT_EQ(format_gid(upper.value()), kLinkLocal);
}

TEST(Gid, MalformedTextIsRefused) {
  const std::vector<std::string> wrong = {"",
                                          "fe80::1",
                                          kIpv4.substr(0, 44),
                                          kIpv4 + ":00",
                                          kIpv4 + " ",
                                          "0g" + kIpv4.substr(2),
                                          "0:000" + kIpv4.substr(5),
                                          std::string(47, ':'),
                                          "fe80:0000:0000:0000:d4b3:4fff:fed3:9d2a0000:000"};
  for (const std::string& text : wrong) {
    auto gid = parse_gid(text);
    ASSERT_FALSE(gid.ok()) << text;
    EXPECT_EQ(gid.status().code, Code::kInvalidArgument);
  }
}

TEST(Gid, ChoosesAnIpv4MappedRoceV2AddressWithADevice) {
  const std::vector<GidEntry> table = {entry(0, kLinkLocal, "IB/RoCE v1"),
                                       entry(1, kLinkLocal),
                                       entry(2, kIpv4, "IB/RoCE v1"),
                                       entry(3, kIpv4, "RoCE v2", ""),
                                       entry(4, kGlobal),
                                       entry(5, kIpv4),
                                       entry(6, kIpv4)};
  EXPECT_EQ(choose_gid(table, true), 5);
}

TEST(Gid, EachStepDownIsTheNextBest) {
  // Best first; each list is chosen from after the better ones are gone. Indices run against the order, so that the
  // lowest index never wins by itself.
  std::vector<GidEntry> table = {entry(9, kIpv4),
                                 entry(8, kIpv4, "RoCE v2", ""),
                                 entry(7, kGlobal),
                                 entry(6, kGlobal, "RoCE v2", ""),
                                 entry(5, kLinkLocal),
                                 entry(4, kLinkLocal, "RoCE v2", ""),
                                 entry(3, kIpv4, "IB/RoCE v1"),
                                 entry(2, kLinkLocal, "IB/RoCE v1", "")};
  while (!table.empty()) {
    const int best = table.front().index;
    std::vector<GidEntry> shuffled(table.rbegin(), table.rend());
    EXPECT_EQ(choose_gid(shuffled, true), best);
    table.erase(table.begin());
  }
  EXPECT_EQ(choose_gid(table, true), -1);
}

TEST(Gid, InfinibandTakesTheFirst) {
  const std::vector<GidEntry> table = {entry(0, kLinkLocal, "IB/RoCE v1", ""), entry(1, kIpv4, "IB/RoCE v1", "")};
  EXPECT_EQ(choose_gid(table, false), 0);
}

}  // namespace
}  // namespace weightcast::verbs
