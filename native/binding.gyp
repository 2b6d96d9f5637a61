{
  'variables': {
    # node-pre-gyp sets both; the defaults serve a plain `node-gyp rebuild`.
    'module_name%': 'libbpf_ts',
    'module_path%': './build/Release',
    'libbpf_archive%': '<!(cc -print-file-name=libbpf.a)',
    'libbpf_pic': '<(SHARED_INTERMEDIATE_DIR)/libbpf-pic.a',
  },
  'targets': [
    {
      # Distributions build libbpf.a as PIE, not PIC. The one relocation that a
      # shared object cannot carry is libbpf's read of `stderr`, so the archive
      # is given a hidden variable of ours in its place (src/libbpf_log.cc).
      'target_name': 'libbpf_pic',
      'type': 'none',
      'actions': [{
        'action_name': 'redefine_stderr',
        'inputs': ['<(libbpf_archive)'],
        'outputs': ['<(libbpf_pic)'],
        'action': ['objcopy', '--redefine-sym', 'stderr=libbpf_ts_stderr', '<(libbpf_archive)', '<(libbpf_pic)'],
      }],
    },
    {
      'target_name': '<(module_name)',
      # Said again because gyp takes a leading "lib" off the file's name.
      'product_name': '<(module_name)',
      'dependencies': ['libbpf_pic'],
      'sources': [
        "<!@(node -p \"require('fs').readdirSync('src').filter(n => n.endsWith('.cc')).sort().map(n => 'src/' + n).join(' ')\")",
      ],
      'include_dirs': ["<!(node -p \"require('node-addon-api').include_dir\")"],
      # The last one: a worker that is being terminated can no longer be thrown at.
      'defines': [
        'NAPI_VERSION=8', 'NAPI_CPP_EXCEPTIONS', '_GNU_SOURCE', 'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
      ],
      'cflags!': ['-fno-exceptions'],
      'cflags_cc!': ['-fno-exceptions', '-fno-rtti', '-std=gnu++17', '-O3'],
      'cflags_cc': ['-std=c++17', '-O2', '-Wall', '-Wextra', '-fexceptions', '-fvisibility=hidden'],
      'libraries': ['<(libbpf_pic)', '-Wl,--exclude-libs,ALL', '-lelf', '-lz', '-lpthread'],
    },
  ],
}
