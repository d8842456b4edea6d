#!/bin/sh
# Network namespaces `near` and `far` with as many kinds of links, addresses, routes, rules and neighbours as the kernel
# has. A command that the kernel or this iproute2 refuses is told on stdout as `refused: COMMAND`, and left out.
#
# usage: network_objects.sh      (as root; names in /run/netns)
try() { "$@" >/dev/null 2>&1 || echo "refused: $*"; }
near() { try ip -n near "$@"; }
near6() { try ip -6 -n near "$@"; }
far() { try ip -n far "$@"; }
ports() { try bridge -n near "$@"; }

ip netns add near
ip netns add far
ip netns add empty
try ip netns set empty 77

# links
near link set lo up
near link add br0 type bridge
near link set br0 up
near link add br1 type bridge stp_state 1 forward_delay 400 priority 4096 mcast_snooping 0
near link set br1 up
near link add br2 type bridge vlan_filtering 1 vlan_default_pvid 1 vlan_stats_enabled 1 vlan_stats_per_port 1
near link set br2 up
near link add veth7233136 type veth peer name eth0 netns far
near link set veth7233136 master br0 up
near link property add dev veth7233136 altname enp0s3 altname a-long-alternative-name-of-veth
near link set veth7233136 alias "uplink of web, port 1"
far link set lo up
far link set eth0 up
near link add va type veth peer name vb
near link set va up
near link set vb up
near link add vc type veth peer name vd numtxqueues 2
near link set vc master br1 up
near link set vd up
near link add ve type veth peer name vf
near link set ve master br2 up
near link set vf up
near link add mv0 link va type macvlan mode bridge
near link set mv0 up
near link add mv1 link va type macvlan mode private
near link add mv2 link va type macvlan mode passthru nopromisc
near link add mv3 link vb type macvlan mode source macaddr add 02:42:00:00:00:11
near link add mv4 link va type macvtap mode vepa
near link add vx0 type vxlan id 42 remote 192.0.2.2 local 192.0.2.1 dev va dstport 4789 nolearning ttl 16 udp6zerocsumrx
near link add vx1 type vxlan id 4097 group 239.1.1.1 dev va dstport 0 proxy l2miss l3miss ageing 300 maxaddress 5
near link add vx2 type vxlan external dstport 8472 vnifilter
near link add vx3 type vxlan id 7 local 2001:db8:2::1 dstport 4790 udpcsum tos inherit df set gbp
near link set vx0 master br0
near tuntap add tap0 mode tap user root group root
near tuntap add tun0 mode tun multi_queue
near tuntap add tun1 mode tun pi
near link set tap0 master br0
near link set tap0 up
near link set tun0 up
near link add ifb0 type ifb
near link add dummy0 type dummy
near link set dummy0 up
near link add dummy1 type dummy
near link add link va name va.10 type vlan id 10 ingress-qos-map 1:2 3:4 egress-qos-map 0:5
near link add link va name va.11 type vlan id 11 protocol 802.1ad reorder_hdr off gvrp on loose_binding on
near link set va.10 up
near link add bond0 type bond mode active-backup miimon 100 primary_reselect better
near link set dummy1 master bond0
near link set bond0 up
near link add bond1 type bond mode 802.3ad lacp_rate fast xmit_hash_policy layer3+4
near link add bond2 type bond mode balance-rr arp_interval 100 arp_ip_target 192.0.2.4,192.0.2.5 arp_validate all
near link add vrf1 type vrf table 10
near link add dummy2 type dummy
near link set dummy2 master vrf1
near link set vrf1 up
near link add wg0 type wireguard
near link add ipvl0 link vb type ipvlan mode l2
near link add ipvl1 link dummy0 type ipvlan mode l3 vepa
near link add ipvt0 link dummy0 type ipvtap mode l2 private
near link add gre1 type gre local 192.0.2.1 remote 192.0.2.9 ttl 64 key 7
near link add gre2 type gretap local 192.0.2.1 remote 192.0.2.10 nopmtudisc ignore-df
near link add gre6 type ip6gre local 2001:db8:2::1 remote 2001:db8:2::9
near link add ipip1 type ipip local 192.0.2.1 remote 192.0.2.9
near link add sit1 type sit local 192.0.2.1 remote 192.0.2.9
near link add ip6t1 type ip6tnl local 2001:db8:2::1 remote 2001:db8:2::8
near link add vti1 type vti local 192.0.2.1 remote 192.0.2.11 key 9
near link add geneve0 type geneve id 7 remote 192.0.2.7
near link add geneve1 type geneve external
near link add xfrm0 type xfrm dev va if_id 4
near link add macsec0 link va type macsec encrypt on
near link add hsr0 type hsr slave1 vc slave2 vd
near link add team0 type team
near link add nlmon0 type nlmon
near link add vcan0 type vcan
near link add netkit0 type netkit
near link set dev va protodown on
near link set dev va protodown off
near link set dev vb group 5
near link set dev vx3 mtu 1400
ports link set dev veth7233136 isolated on hairpin on
ports link set dev vc cost 7 priority 10 guard on
ports vlan add dev ve vid 10 pvid untagged
ports vlan add dev ve vid 20-24
ports vlan add dev br2 vid 10 self
ports vlan add dev ve vid 30 tunnel_info id 300

# addresses
near addr add 172.18.0.1/16 brd 172.18.255.255 dev br0
near addr add 172.19.0.1/16 dev br1
near addr add 10.9.0.1 peer 10.9.0.2/32 dev va label va:1
near addr add 10.9.1.1/24 dev va scope link
near addr add 10.9.1.2/24 dev va
near addr add 10.9.2.1/24 dev va valid_lft 360000 preferred_lft 0
near addr add 10.9.3.1/24 dev va noprefixroute metric 77
near addr add 10.9.4.1/24 brd + dev vb
near addr add 10.9.1.3/24 dev br0
near addr add 10.8.0.1 peer 10.8.0.2 dev tun0
near addr add 192.0.2.1/24 dev dummy0
near6 addr add 2001:db8:1::1/64 dev br0 nodad
near6 addr add 2001:db8:1::2/64 dev br0 preferred_lft 0 nodad
near6 addr add 2001:db8:2::1 peer 2001:db8:2::2/128 dev va nodad
near6 addr add fd00::5/64 dev va home nodad
near6 addr add fd00::6/64 dev va nodad noprefixroute mngtmpaddr
near6 addr add 2001:db8:5::1/64 dev vb nodad proto 77
far addr add 172.18.0.2/16 brd 172.18.255.255 dev eth0
far route add default via 172.18.0.1

# next hops and routes
near nexthop add id 5 via 172.18.0.2 dev br0
near nexthop add id 6 via 172.18.0.3 dev br0 onlink
near nexthop add id 7 group 5,2/6
near nexthop add id 8 blackhole
near nexthop add id 9 dev va proto static
near nexthop add id 10 via 2001:db8:1::98 dev br0
near nexthop add id 11 group 5/6 type resilient buckets 8 idle_timer 60
near nexthop add id 12 via 172.18.0.4 dev br0 fdb
near nexthop add id 13 encap mpls 100/200 via 172.18.0.5 dev br0
near nexthop add id 14 via 172.18.0.9 fdb
near nexthop add id 15 group 14 fdb
near route add 10.30.0.0/16 nhid 5
near route add 10.31.0.0/16 nhid 7
near route add 10.32.0.0/16 nhid 8
near route add 10.20.0.0/16 via 172.18.0.2 metric 50 mtu 1400 advmss 1360
near route add 10.21.0.0/16 via 172.18.0.2 mtu lock 1400 proto static
near route add 10.22.0.0/16 nexthop via 172.18.0.2 weight 2 nexthop via 10.9.1.9 dev va weight 1
near route add 10.22.1.0/24 proto static nexthop via 172.18.0.2 dev br0 onlink nexthop dev dummy0 weight 255
near route add blackhole 10.23.0.0/16
near route add unreachable 10.24.0.0/16 metric 4278198272
near route add prohibit 10.25.0.0/16
near route add throw 10.26.0.0/16 table 100
near route add 10.27.0.0/16 via inet6 2001:db8:1::99 dev br0
near route add 10.28.0.0/16 via 10.200.0.1 dev br0 onlink
near route add 10.29.0.0/16 tos 0x10 via 172.18.0.2 src 172.18.0.1
near route add default via 172.18.0.2 dev br0 proto dhcp src 172.18.0.1 metric 100
near route add default dev tun0 scope link metric 200
near route add 10.33.0.0/16 via 172.18.0.2 table 100 rtt 10ms rttvar 5ms congctl cubic features ecn initcwnd 10 initrwnd 20
near route add 10.34.0.0/16 via 172.18.0.2 quickack 1 rto_min 300ms window 7 ssthresh 9 reordering 4 hoplimit 9 realms 3/4
near route add 10.35.0.0/16 encap mpls 100 via 172.18.0.2
near route add 10.36.0.0/16 encap ip id 7 dst 192.0.2.7 ttl 9 dev vx2
near route add multicast 239.0.0.0/8 dev br0
near route add 10.37.0.0/16 dev dummy0 table 4000000 proto 99 scope 50
near6 route add default via fe80::1 dev br0 metric 1024 proto ra hoplimit 64 pref high
near6 route add 2001:db8:3::/64 nexthop via 2001:db8:1::98 dev br0 weight 1 nexthop via 2001:db8:1::97 dev br0 weight 3
near6 route add unreachable 2001:db8:4::/64
near6 route add prohibit 2001:db8:6::/64 metric 7
near6 route add blackhole 2001:db8:7::/64
near6 route add default dev mv0 metric 4000 from 2001:db8:9::/64
near6 route add 2001:db8:8::/64 nhid 10 mtu 1280 initcwnd 10
near6 route add 2001:db8:a::/64 encap seg6 mode encap segs 2001:db8:1::98,2001:db8:1::97 dev br0
near6 route add 2001:db8:b::/64 encap seg6local action End.DX4 nh4 10.1.1.1 dev br0
near6 route add 2001:db8:c::/64 dev dummy0 src 2001:db8:1::1 table 100
near6 route add 2001:db8:d::/64 dev br0 expires 360000

# rules
near rule add from 10.0.0.0/8 lookup 100 pref 1000
near rule add not from 172.18.0.0/16 to 10.20.0.0/16 fwmark 0x1/0xff iif br0 lookup 100 pref 1001 suppress_prefixlength 0
near rule add unreachable from 10.66.0.0/16 pref 1002
near rule add blackhole oif va pref 1003
near rule add goto 32766 from 10.67.0.0/16 pref 1004
near rule add nop pref 1005
near rule add ipproto tcp dport 80 uidrange 0-100 lookup 100 pref 1006 proto static
near rule add prohibit tos 0x10 sport 1000-2000 pref 1007
near rule add goto 20000 fwmark 0xca6c pref 1008
near rule add iif gone0 lookup main suppress_ifgroup 5 pref 1009
near rule add from 10.68.0.1 to 10.69.0.1 lookup 4000000 realms 3/4 pref 1010
near rule add tun_id 9 lookup 100 pref 1011
near rule add ipproto 99 lookup 100 pref 1012
near rule add from all to 10.70.0.0/16 oif gone1 lookup default pref 1013
near rule add dscp 10 lookup 100 pref 1014
near rule add l3mdev pref 1015
near6 rule add from 2001:db8::/32 lookup 100 pref 1000
near6 rule add not fwmark 0x51820 lookup 51820 pref 1001
near6 rule add flowlabel 0x12 lookup 100 pref 1002

# neighbours and forwarding entries
near neigh add 10.9.1.77 lladdr 02:42:0a:09:01:4d dev br0 nud permanent
near neigh add 10.9.1.78 lladdr 02:42:0a:09:01:4e dev br0 nud noarp
near neigh add 2001:db8:1::77 lladdr 02:42:0a:09:01:4f dev br0 nud stale router
near neigh add 10.9.1.79 lladdr 02:42:0a:09:01:50 dev br0 nud reachable extern_learn
near neigh add 10.9.1.81 dev br0 nud none
near neigh add 10.9.1.82 dev br0 nud failed
near neigh add 10.9.1.83 lladdr 02:42:0a:09:01:53 dev br0 nud stale protocol zebra
near neigh add 10.9.1.84 lladdr 02:42:0a:09:01:54 dev br0 managed extern_learn
near neigh add proxy 10.9.1.80 dev br0
near neigh add proxy 2001:db8:1::80 dev br0
ports fdb add 02:42:00:00:00:01 dev veth7233136 master static
ports fdb add 02:42:00:00:00:02 dev veth7233136 master static sticky
ports fdb add 02:42:00:00:00:03 dev veth7233136 extern_learn master
ports fdb add 02:42:00:00:00:04 dev ve vlan 10 master static
ports fdb add 02:42:00:00:00:05 dev va self
ports fdb add 02:42:00:00:00:06 dev br0 self local
ports fdb add 00:00:00:00:00:00 dev vx0 dst 192.0.2.77 port 4790 vni 43 via va self permanent
ports fdb append 00:00:00:00:00:00 dev vx0 dst 192.0.2.78 self
ports fdb add 02:42:00:00:00:07 dev vx3 dst 2001:db8::7 self
ports fdb add 02:42:00:00:00:08 dev vx0 nhid 15 self
ports fdb add 02:42:00:00:00:09 dev veth7233136 master dynamic
try ip netns exec far ping -c1 -W1 172.18.0.1
exit 0
