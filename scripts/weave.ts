// The order in which Vitest takes up test files: projects that run side by side take turns, each with its longest files first, so that
// Chromium has neighbours that mostly wait, and the last files to end are short ones.

import { BaseSequencer, type TestSpecification } from "vitest/node";

export class Weave extends BaseSequencer {
  /** Longest first as far as an earlier run has told; the largest stand in for them. */
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const projects = Map.groupBy(await super.sort(files), ({ project }) => project);
    return [...projects.values()]
      .flatMap((its) => its.map((file, index) => ({ file, place: (index + 0.5) / its.length })))
      .sort((a, b) => orderOf(a.file) - orderOf(b.file) || a.place - b.place)
      .map(({ file }) => file);
  }
}

const orderOf = ({ project }: TestSpecification): number => project.config.sequence.groupOrder;
