#!/bin/sh
# Network namespaces `router`, `vpn` and `plain` with routes and policy rules of all kinds, for lookups.
#
# usage: route_namespaces.sh      (as root; names in /run/netns)
set -e
for name in router vpn plain; do
    ip netns add $name
    ip -n $name link set lo up
done
router() { ip -n router "$@"; }
router6() { ip -6 -n router "$@"; }

for number in 0 1 2 3 4; do
    router link add up$number type veth peer name down$number
    router link set up$number up
    [ $number = 4 ] || router link set down$number up
    ip netns exec router sysctl -qw net.ipv6.conf.up$number.accept_dad=0
    router addr add 192.0.$number.1/24 dev up$number
    router addr add 192.0.$number.2/24 dev up$number
    router6 addr add 2001:db8:$number::1/64 dev up$number nodad
done
ip netns exec router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
ip netns exec router sysctl -qw net.ipv4.conf.up1.rp_filter=1 net.ipv4.conf.up2.rp_filter=2 net.ipv4.conf.up3.accept_local=1 \
    net.ipv4.conf.down0.forwarding=0 net.ipv4.conf.up4.ignore_routes_with_linkdown=1 net.ipv4.conf.up0.route_localnet=1
router addr add 10.77.0.1/32 dev lo
router addr add 192.0.1.129/25 dev up1
router addr add 10.9.0.1/24 dev up2 scope link
router addr add 10.8.0.1 peer 10.8.0.2/32 dev up3
router link set up0 group 7
router6 addr add fd00:1::1/64 dev up1 nodad
router6 addr add fd00:1::9/64 dev up1 nodad preferred_lft 0
router6 addr add 2001:db8:77::1/128 dev lo

# table main: prefixes inside prefixes, metrics, types of service, all types
router route add default via 192.0.0.254 metric 100
router route add default via 192.0.1.254 metric 50
router route add 0.0.0.0/1 via 192.0.2.254
router route add 128.0.0.0/1 via 192.0.2.254 src 192.0.2.2
router route add 10.0.0.0/8 via 192.0.3.254
router route add 10.1.0.0/16 via 192.0.0.253
router route add 10.1.2.0/24 dev up1
router route add 10.1.2.3/32 via 192.0.2.253
router route add 10.1.2.128/25 dev up2 metric 10
router route add 10.1.2.128/25 dev up3 metric 5
router route add 10.2.0.0/16 tos 0x10 via 192.0.1.253
router route add 10.2.0.0/16 via 192.0.0.252
router route add blackhole 10.3.0.0/16
router route add unreachable 10.4.0.0/16
router route add prohibit 10.5.0.0/16
router route add throw 10.6.0.0/16
router route add 10.3.1.0/24 via 192.0.1.252
router route add 10.7.0.0/16 nexthop via 192.0.0.251 weight 2 nexthop via 192.0.1.251 weight 1
router route add 10.10.0.0/16 via 192.0.4.251
router route add 10.11.0.0/16 via 203.0.113.77 dev up1 onlink
router route add local 10.12.0.0/16 dev lo
router route add 10.13.0.0/16 via inet6 2001:db8:1::77 dev up1
router route add broadcast 10.14.255.255 dev up0
router route add multicast 239.1.0.0/16 dev up2
router route add 10.15.0.0/16 via 192.0.4.251 metric 1
router route add 10.15.0.0/16 via 192.0.0.250 metric 2
router nexthop add id 1 via 192.0.0.249 dev up0
router nexthop add id 2 via 192.0.1.249 dev up1
router nexthop add id 3 group 1/2
router nexthop add id 4 blackhole
router nexthop add id 5 dev up3
router route add 10.16.0.0/16 nhid 1
router route add 10.17.0.0/16 nhid 3
router route add 10.18.0.0/16 nhid 4
router route add 10.19.0.0/16 nhid 5

# other tables
router route add default via 192.0.3.253 table 100
router route add 10.20.0.0/16 dev up0 table 100
router route add throw 10.21.0.0/16 table 100
router route add prohibit 10.22.0.0/16 table 100
router route add default via 192.0.3.252 table 200
router route add 172.16.0.0/12 via 192.0.1.250 table 200
router route add 10.24.0.0/16 via 192.0.2.250 table 300
router route add 10.0.0.0/8 via 192.0.2.249 table 300
router route add 198.18.0.0/15 via 192.0.0.248 table 400
router route add default via 192.0.0.247 table default

router rule add priority 100 from 192.0.3.1 lookup 100
router rule add priority 110 from 172.20.0.0/16 lookup 200
router rule add priority 120 to 172.21.0.0/16 lookup 200
router rule add priority 130 fwmark 0x1 lookup 100
router rule add priority 140 fwmark 0x20/0xf0 lookup 200
router rule add priority 150 iif up3 lookup 300
router rule add priority 160 iif lo to 198.18.0.0/15 lookup 400
router rule add priority 170 oif up2 lookup 300
router rule add priority 180 not from 10.0.0.0/8 to 10.24.0.0/16 lookup 300
router rule add priority 190 from 172.22.0.0/16 prohibit
router rule add priority 200 from 172.23.0.0/16 to 10.0.0.0/8 blackhole
router rule add priority 210 to 198.51.100.66 unreachable
router rule add priority 220 from 172.24.0.0/16 goto 500
router rule add priority 230 to 10.25.0.0/16 ipproto tcp dport 80-90 lookup 100
router rule add priority 240 uidrange 1000-2000 lookup 200
router rule add priority 250 tos 0x08 lookup 200
router rule add priority 300 lookup main suppress_prefixlength 8
router rule add priority 310 lookup main suppress_ifgroup 7
router rule add priority 320 to 10.26.0.0/16 lookup 999
router rule add priority 500 fwmark 0x7 lookup 200
router rule add priority 510 iif gone0 lookup 100

# IPv6
router6 route add default via 2001:db8:0::fe metric 100
router6 route add default via 2001:db8:1::fe metric 50
router6 route add 2001:db8:100::/40 via 2001:db8:2::fe
router6 route add 2001:db8:101::/48 via 2001:db8:3::fe
router6 route add 2001:db8:101:5::/64 dev up1
router6 route add 2001:db8:102::/48 via 2001:db8:0::fd metric 10
router6 route add 2001:db8:102::/48 via 2001:db8:1::fd metric 5
router6 route add blackhole 2001:db8:103::/48
router6 route add unreachable 2001:db8:104::/48
router6 route add prohibit 2001:db8:105::/48
router6 route add throw 2001:db8:106::/48
router6 route add 2001:db8:107::/48 nexthop via 2001:db8:0::fc nexthop via 2001:db8:1::fc weight 3
router6 route add local 2001:db8:108::/48 dev lo
router6 route add 2001:db8:109::/48 via 2001:db8:0::fb src 2001:db8:77::1
router nexthop add id 11 via 2001:db8:0::fa dev up0
router nexthop add id 12 via 2001:db8:1::fa dev up1
router nexthop add id 13 group 11/12
router6 route add 2001:db8:10a::/48 nhid 11
router6 route add 2001:db8:10b::/48 nhid 13
router6 route add default via 2001:db8:3::fd table 100
router6 route add 2001:db8:10c::/48 dev up0 table 100
router6 route add throw 2001:db8:10d::/48 table 100
router6 route add default via 2001:db8:1::fb table 200
router6 rule add priority 100 from 2001:db8:3::1 lookup 100
router6 rule add priority 110 from 2001:db8:200::/40 lookup 200
router6 rule add priority 120 to 2001:db8:201::/48 lookup 200
router6 rule add priority 130 fwmark 0x1 lookup 100
router6 rule add priority 140 iif up3 lookup 200
router6 rule add priority 150 from 2001:db8:202::/48 prohibit
router6 rule add priority 160 to 2001:db8:10e::/48 blackhole
router6 rule add priority 170 not fwmark 0x20/0xf0 to 2001:db8:10f::/48 lookup 200
router6 rule add priority 180 from 2001:db8:203::/48 goto 400
router6 rule add priority 300 lookup main suppress_prefixlength 0
router6 rule add priority 400 fwmark 0x7 lookup 100

# a VPN that takes all: half defaults, and a table for what it has not marked itself
ip -n vpn link add eth0 type veth peer name peer0
ip -n vpn link set eth0 up
ip -n vpn link set peer0 up
ip -n vpn addr add 198.51.100.5/24 dev eth0
ip -n vpn route add default via 198.51.100.1
ip -n vpn tuntap add tun0 mode tun
ip -n vpn link set tun0 up
ip -n vpn addr add 10.8.0.6 peer 10.8.0.5 dev tun0
ip -n vpn route add 0.0.0.0/1 via 10.8.0.5
ip -n vpn route add 128.0.0.0/1 via 10.8.0.5
ip -n vpn route add 203.0.113.9 via 198.51.100.1
ip -n vpn route add default dev tun0 table 51820
ip -n vpn rule add not fwmark 0xca6c lookup 51820
ip -n vpn rule add lookup main suppress_prefixlength 0
ip netns exec vpn sysctl -qw net.ipv4.ip_forward=1

# nobody made a rule here
ip -n plain link add eth0 type veth peer name peer0
ip -n plain link set eth0 up
ip -n plain link set peer0 up
ip -n plain addr add 203.0.113.20/24 dev eth0
ip -n plain -6 addr add 2001:db8:20::2/64 dev eth0 nodad
ip -n plain route add default via 203.0.113.1
ip -n plain route add 172.17.0.0/16 via 203.0.113.2
ip -n plain route add blackhole 172.18.0.0/16
ip -n plain -6 route add default via fe80::1 dev eth0
