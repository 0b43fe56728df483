# Which Debian packages what part of the project needs, and which of them are missing. Sourced, not run.

# packages_of SET: the packages of a set, on one line.
packages_of() {
  local build='g++ make python3 libibverbs-dev libxxhash-dev'
  local softroce='qemu-system-x86 busybox-static kmod cpio iproute2 rdma-core ibverbs-providers'
  # What the tests talk to, and what makes certificates for them.
  # libnuma1 and libcurl4: what Mooncake's wheels load and do not bring.
  local peers='redis-server chromium openssl python3-venv libnuma1 libcurl4'
  case $1 in
    build) echo "$build" ;;
    softroce) echo "$softroce" ;;
    # protobuf-compiler is what scripts/generate runs, perftest what `weightcast bench` runs beside its own reads.
    test) echo "$build $softroce $peers cmake ninja-build libgtest-dev clang-format-19 protobuf-compiler perftest" ;;
    # What scripts/compare measures beside Weightcast.
    compare) echo "$(packages_of test) iperf3 ucx-utils" ;;
    tidy) echo "$(packages_of test) clang-tidy-19" ;;
    *) return 1 ;;
  esac
}

# missing_packages SET: those of the set that are not installed, on one line; nothing when all are.
missing_packages() {
  local wanted package status installed=' '
  wanted=$(packages_of "$1")
  # dpkg-query fails when it knows nothing of a package, which here is an answer like any other.
  while read -r status package; do
    [ "$status" = installed ] && installed+="${package%%:*} "
  done < <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted 2>/dev/null || true)
  for package in $wanted; do
    case $installed in *" $package "*) ;; *) printf '%s ' "$package" ;; esac
  done
}
