'use strict';
// npm mrz-detection finds and reads, npm mrz judges. The folder with node_modules is the first argument.
const { createInterface } = require('readline');
const { join } = require('path');

const modules = join(process.argv[2], 'node_modules');
const version = (name) => require(join(modules, name, 'package.json')).version;

async function main() {
  const { Image } = require(join(modules, 'image-js'));
  const { getMrz, readMrz } = require(join(modules, 'mrz-detection'));
  const { parse } = await import(join(modules, 'mrz', require(join(modules, 'mrz', 'package.json')).main || 'lib/index.js'));
  const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);
  say({ ready: true, versions: { 'mrz-detection': version('mrz-detection'), mrz: version('mrz') } });
  for await (const request of createInterface({ input: process.stdin })) {
    const { path } = JSON.parse(request);
    const began = process.hrtime.bigint();
    const ms = () => Number(process.hrtime.bigint() - began) / 1e6;
    try {
      const { mrz } = await readMrz(getMrz(await Image.load(path)));
      let valid = false;
      try {
        valid = parse(mrz).valid;
      } catch (error) {
        valid = false;
      }
      say({ lines: mrz.length ? mrz : null, valid, ms: ms() });
    } catch (error) {
      say({ lines: null, valid: false, ms: ms(), error: error.name });
    }
  }
}

console.log = console.error;
main();
