/* SPDX-License-Identifier: MIT */
#ifndef CMD_H
#define CMD_H

/* What the tool exits with. */
enum {
	CMD_OK = 0,
	CMD_NO = 1, /* the answer is no, or two results differ */
	CMD_USAGE = 2, /* the command line is wrong */
	CMD_OBJECT = 3, /* an object could not be made, opened or used */
	CMD_LEASE_LOST = 4, /* somebody else has it by now */
	CMD_TIMED_OUT = 124, /* the time that was given is over, as of timeout(1) */
};

/* The commands, one file each: argv from the command's own name on; the exit code. */
int prusik_cmd_array(int argc, char **argv);
int prusik_cmd_barrier(int argc, char **argv);
int prusik_cmd_demo(int argc, char **argv);
int prusik_cmd_kill(int argc, char **argv);
int prusik_cmd_dict(int argc, char **argv);
int prusik_cmd_doctor(int argc, char **argv);
int prusik_cmd_event(int argc, char **argv);
int prusik_cmd_gc(int argc, char **argv);
int prusik_cmd_list(int argc, char **argv);
int prusik_cmd_lock(int argc, char **argv);
int prusik_cmd_ls(int argc, char **argv);
int prusik_cmd_rm(int argc, char **argv);
int prusik_cmd_sem(int argc, char **argv);
int prusik_cmd_queue(int argc, char **argv);
int prusik_cmd_value(int argc, char **argv);

#endif
