{
  'variables': {
    # The one list of sources: native/CMakeLists.txt reads the same file.
    'sources_js': "const s = require('./native/sources.json'); console.log([...s.core, ...s.binding].map((f) => 'native/' + f).join(' '))",
    'napi_headers_js': "require('path').dirname(require.resolve('node-addon-api/package.json'))",
  },
  'targets': [
    {
      'target_name': 'weightcast',
      'conditions': [
        # Elsewhere there are no verbs: the client side of the package works without the addon.
        ['OS!="linux"', { 'type': 'none' }],
        ['OS=="linux"', {
          'sources': ['<!@(node -e "<(sources_js)")'],
          'include_dirs': ['native'],
          'dependencies': ["<!(node -p \"require('node-addon-api').targets\"):node_addon_api_except_all"],
          'defines': [
            'NAPI_VERSION=9',
            # Without it, a worker that is terminated while a promise is being settled takes the process with it.
            'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
          ],
          'cflags_cc!': ['-std=gnu++17', '-std=gnu++20', '-fno-rtti', '-fno-exceptions'],
          'cflags_cc': [
            '-std=c++20',
            '-fvisibility=hidden', '-fvisibility-inlines-hidden',
            '-Wall', '-Wextra', '-Wpedantic', '-Wconversion', '-Wshadow',
            # A directory that is also a system one is searched as such: its warnings are not ours.
            '-isystem', '<!(node -p "<(napi_headers_js)")',
          ],
          'ldflags': ['-Wl,-Bsymbolic', '-Wl,--exclude-libs,ALL'],
          'libraries': ['-ldl', '-lpthread'],
          'configurations': {
            'Release': { 'cflags!': ['-O3'], 'cflags': ['-O2'] },
          },
        }],
      ],
    },
  ],
}
