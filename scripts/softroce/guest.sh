# What every Soft-RoCE machine does before its command: names, addresses, RDMA devices. Runs inside the machine, as its
# process 1, with HOST_INDEX, HOSTS and RAILS set; put in front of the command by scripts/softroce-vm.
ulimit -l unlimited
ulimit -n 65536
hostname "host$HOST_INDEX"
ip link set lo up
{
  echo 127.0.0.1 localhost
  for host in $(seq 0 $((HOSTS - 1))); do echo "10.77.0.$((host + 1)) host$host"; done
} >/etc/hosts
for rail in $(seq 0 $((RAILS - 1))); do
  if [ "$HOSTS" = 1 ]; then
    ip link add "rail$rail" type dummy
  else
    ip link set "eth$rail" name "rail$rail"
  fi
  # An RDMA MTU of 4096 needs room for its headers as well: with less than about 4200 here the device falls to 2048.
  ip link set "rail$rail" mtu 4200 up
  ip addr add "10.77.$rail.$((HOST_INDEX + 1))/24" dev "rail$rail"
  # Never `rdma link delete` it while a process holds it: that call does not return.
  rdma link add "rxe$rail" type rxe netdev "rail$rail"
done
