import { relative } from 'node:path';

/**
 * A vitest reporter: names the tests that failed, were run once more and passed.
 * They measure time on machines that others use as well; who fails often is a defect.
 */
export default class RepeatedReporter {
  #repeated = [];

  onTestCaseResult(test) {
    if (test.diagnostic()?.flaky === true) this.#repeated.push(test);
  }

  onTestRunEnd() {
    for (const test of this.#repeated) {
      console.log(`passed when run again: ${relative('.', test.module.moduleId)} > ${test.fullName}`);
      // Of a property: that it failed, its seed and path, the counterexample.
      for (const { message } of test.result().errors ?? []) console.log(`  at first: ${message.split('\n').slice(0, 3).join(' ')}`);
    }
    console.log(`${this.#repeated.length} tests passed only when run again`);
  }
}
