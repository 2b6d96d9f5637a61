#!/bin/sh
# Makes a virtual machine its part of the lab. usage: lab.sh MACHINE INTERFACE=MAC…     FLOATGATE_SYNC_KEY: the gateways' key
set -eu
cd /vagrant
node .ci/setup.mjs
node dist/cli/main.js lab down
exec node dist/cli/main.js lab machine "$@"
