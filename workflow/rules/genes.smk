# The genes of an annotation, and the table of genes and tracks.

if run.annotation:

    # It waits for nothing and comes first, so that a mistake in the file is found at once.
    rule write_genes:
        input:
            annotation=ancient(run.annotation.path),
            plan=plan_of_run,
        output:
            bed=paths.genes,
            bigbed=paths.genes_bigbed,
        log:
            f"{LOGS}/write_genes.log",
        priority: 2
        localrule: True
        conda:
            "../../envs/seqcov.yaml"
        params:
            digest=run.annotation_digest,
        script:
            "../../scripts/write_genes.py"

    rule write_gene_table:
        input:
            genes=rules.write_genes.output.bed,
            tracks=rules.write_track_table.output[0],
            tables=tables_of_run,
            plan=plan_of_run,
            models=plans_of_models,
        output:
            paths.gene_table,
        log:
            f"{LOGS}/write_gene_table.log",
        conda:
            "../../envs/seqcov.yaml"
        threads: 4
        params:
            digest=run.gene_table_digest,
        script:
            "../../scripts/write_gene_table.py"
