# Tells node-gyp where this node's own headers are, when they were installed with it, so that it downloads none.
# Sourced, not run.
node_prefix=$(readlink -f "$(command -v node)")
node_prefix=${node_prefix%/bin/*}
if [ -z "${npm_config_nodedir-}" ] && [ -f "$node_prefix/include/node/node_api.h" ]; then
  export npm_config_nodedir=$node_prefix
fi
