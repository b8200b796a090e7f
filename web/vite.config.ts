/// <reference types="vitest/config" />
import { defineConfig } from 'vite';

// The development server hands the API's paths to a running suite, so that the console always talks to one origin.
const suite = process.env.RIXIN_URL ?? 'http://127.0.0.1:8460';
// The suite refuses pages of other origins; this server is one, and speaks for the developer.
const target = { target: suite, headers: { origin: suite } };
const proxy = { '/api': target, '/v1': target, '/openapi.json': target, '/docs': target };

export default defineConfig({
  server: { proxy },
  preview: { proxy },
  build: {
    target: 'es2022',
    // The content security policy forbids data: scripts and fonts; small files stay files.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
  test: {
    environment: 'happy-dom',
    include: ['src/**/*.test.{ts,tsx}'],
    restoreMocks: true,
  },
});
