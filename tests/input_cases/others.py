"""Kinds of bad input that no stage of a small project meets: what the user sees, and the test that checks it."""

OTHERS = (
    (
        "trcgl init",
        "a params.yaml whose changes would be lost",
        "params.yaml: has changes that are not committed and would be lost; commit them, or overwrite them with --force",
        "test_init.py::test_changes_that_would_be_lost_are_kept",
    ),
    (
        "trcgl init",
        "no shipped params.yaml to start from",
        "params.yaml: the shipped one is neither here nor in git's history; run in the project's folder, or put it back",
        "test_init.py::test_outside_of_git_it_starts_from_the_present_file",
    ),
    (
        "trcgl init",
        "an overlay with an unknown key",
        "presets/scale/cpu.yaml: unknown key 'classifier.lrr'; did you mean 'lr'?",
        "test_init.py::test_wrong_requests_are_one_line",
    ),
    (
        "trcgl init",
        "images or labels missing, or given for the phantom",
        "trcgl init nih: give both --images DIR and --labels FILE",
        "test_init.py::test_wrong_requests_are_one_line",
    ),
    (
        "Disk",
        "full, quota used up, or file too large, in every format that is written",
        "...: no space is left to write it; free some and run again (no half-written file remains, and finished work is kept)",
        "test_runtime.py::test_no_space_is_one_line_and_leaves_nothing_half_written",
    ),
    (
        "Disk",
        "too small for the images to be cached or drawn",
        "...: 12 images need 25 kB but only 20 kB are free; free some space and run again (nothing was started, and finished work is kept)",
        "test_input_errors.py::test_a_disk_that_is_too_small_stops_the_cache_before_it_begins",
    ),
    (
        "Disk",
        "a checkpoint damaged or cut short",
        "... is damaged or cut short; an earlier state is used, or the stage starts anew",
        "test_runtime.py::test_a_damaged_state_is_reported_and_the_one_before_it_used",
    ),
    (
        "Disk",
        "a checkpoint for other parameters, inputs or code",
        "nothing: it is not found, and the stage starts anew",
        "test_runtime.py::test_state_is_found_again_only_for_the_same_everything",
    ),
    (
        "Disk",
        "a shard of an interrupted run damaged",
        "... or its shards are damaged; their images and all later ones are decoded again",
        "test_images.py::test_a_killed_cache_goes_on_after_its_last_whole_shard",
    ),
    (
        "Disk",
        "a micro-batch of an interrupted run damaged",
        "... is damaged or cut short and counts as not drawn",
        "test_diffusion_sampling.py::test_kept_micro_batches_are_not_drawn_again",
    ),
    (
        "Made files",
        "the co-occurrence counts overwritten, or of other findings",
        "...: damaged or cut short (not a whole .npz archive); ...",
        "test_graph_cooccurrence.py::test_unreadable_file_is_one_line",
    ),
    (
        "Made files",
        "card, adapter, tokens or base of the generator cut short",
        "...: damaged or cut short (...); ...",
        "test_diffusion.py::test_a_damaged_file_of_a_generator_is_named",
    ),
    (
        "Memory",
        "too little, on processor or accelerator",
        "out of memory; lower 'classifier.batch_size', or raise 'classifier.accumulate' (...)",
        "test_runtime.py::test_out_of_memory_names_the_knob",
    ),
    (
        "Memory",
        "a process that decodes was killed",
        "one of ... worker processes was killed, most likely because memory ran out; lower 'compute.workers' and run again",
        "test_images.py::test_a_killed_worker_is_one_line",
    ),
    (
        "Compiler",
        "torch.compile requested where it cannot compile",
        "compute.compile: torch cannot compile here; set it to false (...)",
        "test_classifier_train.py::test_a_failing_compiler_is_one_line",
    ),
    (
        "Signals",
        "SIGTERM, or Ctrl-C",
        "stopped by SIGTERM; finished work is kept; run again to continue (exit code 143 or 130)",
        "test_runtime.py::test_a_signal_is_one_line_and_a_code",
    ),
    (
        "Training",
        "a loss that is not finite",
        "epoch 1, step 1: the loss is nan; lower lr or use fp32; images of the batch: ...",
        "test_classifier_train.py::test_a_loss_that_is_not_finite_stops_with_the_images",
    ),
    (
        "Training",
        "a gradient that is not finite",
        "epoch 1, step 1: the gradient's norm is nan; lower lr or use fp32; images of the batch: ...",
        "test_classifier_train.py::test_a_gradient_that_is_not_finite_stops_with_the_images",
    ),
    (
        "Training",
        "a generated image in the label table",
        "...: '...' is a generated image; a label table lists real ones only",
        "test_classifier_data.py::test_a_generated_image_among_the_labelled_ones_stops",
    ),
    (
        "Generator",
        "a hub id that is neither cached nor reachable",
        "diffusion.base: the hub id (revision ...) '...' cannot be loaded, and there is no folder of that name here; ...",
        "test_diffusion.py::test_hub_id_that_is_neither_cached_nor_reachable",
    ),
    (
        "Generator",
        "a shard of the base's weights missing",
        "diffusion.base: the unet of '...' cannot be loaded; copy the whole base again (...)",
        "test_base_checks.py::test_weights_in_several_files",
    ),
    (
        "Generator",
        "a named base that has moved",
        "data/models/diffusion/trcgl.json: the base '...' that it names is not there (...); put it back, write its new place "
        "into 'base' of that file, or set diffusion.base and run finetune_diffusion again",
        "test_base_checks.py::test_a_base_that_has_moved_is_named_with_the_file_that_names_it",
    ),
    (
        "Generator",
        "a named base that is another one by now",
        "data/models/diffusion/pytorch_lora_weights.safetensors: the adapters do not fit the base that ... names; ...",
        "test_base_checks.py::test_adapters_of_another_base_are_refused",
    ),
    (
        "Generator",
        "a latent that is not finite",
        "diffusion: the autoencoder's latent of image '...' is not finite in ...; set compute.precision to fp32, or give "
        "another base",
        "test_base_checks.py::test_a_latent_that_is_not_finite_is_named_with_its_image",
    ),
    (
        "Generator",
        "a base whose own loss is not finite",
        "diffusion.base: the denoising loss of '...' on validation images is nan before anything is learned; ...",
        "test_base_checks.py::test_a_loss_that_is_not_finite_before_training_does_not_blame_the_learning_rate",
    ),
    (
        "Generator",
        "a drawn image that is not finite",
        "sampling: image '...' is not finite in ...; set compute.precision to fp32",
        "test_diffusion_sampling.py::test_a_drawn_image_that_is_not_finite_is_named",
    ),
    (
        "Generator",
        "a finding that it has not been taught",
        "'...' is not a finding of this generator; it has: ...",
        "test_generator_elsewhere.py::test_a_finding_that_was_not_taught_is_named",
    ),
    (
        "Generator",
        "a loss or gradient that is not finite",
        "diffusion: step 0 of phase '...' went wrong: ...; images of the step: ...",
        "test_diffusion.py::test_a_gradient_that_is_not_finite_stops_and_names_the_step",
    ),
)
